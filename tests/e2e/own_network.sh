#!/usr/bin/env bash
# Runs a command in a network of its own, in which 10.200.0.0/16 are addresses of this machine: pods can be processes at
# their own addresses, ports are free, and nothing leaves. The one directory that AIBrix takes for granted is private
# too. Where that is not allowed, the command runs in the machine's network, and says so.
set -euo pipefail
certificates=/tmp/k8s-webhook-server
inside="mkdir -p $certificates && mount -t tmpfs none $certificates && "
inside+='ip link set lo up && ip addr add 10.200.0.1/16 dev lo && exec "$@"'
for options in "--net --mount" "--net --mount --map-root-user"; do
  # shellcheck disable=SC2086
  if unshare $options bash -c "${inside% && exec*}" 2>/dev/null; then
    STORMC_E2E_NETWORK=own exec unshare $options bash -c "$inside" -- "$@"
  fi
done
echo "no network of its own (unshare and ip are needed): tests use the machine's" >&2
exec "$@"
