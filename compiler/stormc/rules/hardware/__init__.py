"""What a pod asks of its node must be something that the scheduler's handler for the product accepts."""
