"""Texts in other languages, held against the sources."""
