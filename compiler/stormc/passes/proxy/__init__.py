"""The routing role and what leads to it, one concern a module: each is a pass of its own in the pipeline."""
