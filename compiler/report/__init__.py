"""Findings as documents: one module per format."""
