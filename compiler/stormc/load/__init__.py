"""Reading: bytes of specs and platform files become plain data with a position for every value."""
