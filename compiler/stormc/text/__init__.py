"""Specs as people's text: canonical form, suppressions, first specs."""
