"""Tests of the routing proxy, against engines of their own on real sockets."""
