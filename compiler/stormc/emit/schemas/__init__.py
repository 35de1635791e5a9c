"""The JSON Schemas of everything that stormc writes, and the generator that keeps them true to Kubernetes."""
