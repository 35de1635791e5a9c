"""What vLLM is told: flags that the layout owns, KV transfer, directories, and environment that expands."""
