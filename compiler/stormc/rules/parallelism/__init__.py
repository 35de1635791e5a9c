"""Ranks, pods and NPUs must add up, or the engine waits for ranks that nobody starts."""
