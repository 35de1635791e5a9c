"""Manifests as canonical YAML, and what the API server's schemas say of them."""
