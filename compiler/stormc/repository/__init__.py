"""All specs of a directory together."""
