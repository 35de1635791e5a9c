"""Names must leave room for what the controllers append to them."""
