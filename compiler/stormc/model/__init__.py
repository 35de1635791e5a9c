"""The spec: its schema, its checks, and the frozen model that passes and rules see."""
