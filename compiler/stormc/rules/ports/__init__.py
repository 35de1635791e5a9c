"""Ports of ranks, KV transfer and metaserver that exist and stay out of each other's way."""
