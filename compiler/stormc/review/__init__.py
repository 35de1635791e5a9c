"""Two compilations side by side: what a change does to running pods, and reports about it."""
