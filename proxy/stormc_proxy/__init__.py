"""The routing proxy that runs in every routing pod."""
