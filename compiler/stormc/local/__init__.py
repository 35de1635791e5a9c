"""A rendered app on one machine: the part of AIBrix, the kubelet, kube-proxy and the cluster's DNS, on loopback.

It reads nothing but rendered manifests and starts the real launcher and the real proxy; only vLLM is a stand-in.
"""
