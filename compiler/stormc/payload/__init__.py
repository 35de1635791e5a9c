"""What runs inside an engine pod. It travels in a ConfigMap: standard library only, Python 3.10, nothing of ours."""
