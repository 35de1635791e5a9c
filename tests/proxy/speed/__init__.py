"""What the proxy costs beside others: `make bench-proxy`."""
