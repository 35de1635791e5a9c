//go:build tools

// Package tools keeps the API server's module among the requirements.
package tools

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
