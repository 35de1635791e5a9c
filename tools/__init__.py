"""Generators of what is committed: schemas, the editor schema. Not part of the wheel."""
