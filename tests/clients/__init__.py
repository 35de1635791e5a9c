"""Clients that people use, as they install them: `make test-clients` sets them up and runs these tests."""
