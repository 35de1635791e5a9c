"""A model of prefill engines with prefix caches, traffic for them, and rules that choose among them."""
