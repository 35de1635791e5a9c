"""The engine container of prefill and decode, one concern a module: each is a pass of its own in the pipeline."""
