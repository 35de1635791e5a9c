#!/usr/bin/env bash
# What a release of AIBrix installs for its controller, as one file: definitions, roles, webhooks, the namespace.
# Usage: aibrix_manifests.sh DIRECTORY_OF_THE_MODULE FILE; needs kustomize on the PATH.
# config/default has more (gateways, Ray), and since v0.7.0 no definitions.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$1/config" "$work/config"
chmod -R u+w "$work/config"
cat >"$work/config/kustomization.yaml" <<'YAML'
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: aibrix-system
namePrefix: aibrix-
resources: [namespace, crd, rbac/controller-manager, webhook, internalcert]
YAML
kustomize build "$work/config" >"$2.new"
mv "$2.new" "$2"
