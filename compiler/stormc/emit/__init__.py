"""Writing: manifests become checked files, in canonical YAML, atomically."""
