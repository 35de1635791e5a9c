"""What happened: the log, and the numbers behind /metrics and /status."""
