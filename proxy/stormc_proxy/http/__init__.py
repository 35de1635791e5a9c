"""HTTP/1.1 and server-sent events, as far as a proxy needs them."""
