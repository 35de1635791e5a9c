"""Overrides change objects, they do not make others of them."""
