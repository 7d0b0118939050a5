#!/usr/bin/env bash
# Prints the folder with the programs of tools/: dns, gpus and slow-link; builds them first when the cache
# has none for these sources and this Go. After build.sh it takes 5 seconds, for they share its packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/tools"
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
say() { printf 'test cluster: %s\n' "$*" >&2; }

command -v go >/dev/null || {
  say "FAILED: 'go' is not on this machine; it builds the DNS server and the pretended GPUs of a node"
  say "remedy: install Go $(sed -n 's/^go //p' go.mod) or newer"
  exit 1
}
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS='-buildvcs=false -mod=readonly -trimpath'
key=$({ go version && cat go.mod go.sum */*.go ../tools.sh; } | sha256sum | cut -c1-12)
folder=$cache/cluster-tools-$key
if [ ! -d "$folder" ]; then
  mkdir -p "$cache"
  exec 9>"$folder.lock" # a second build waits for the first and finds its result
  flock 9
fi
if [ ! -d "$folder" ]; then
  say 'building the DNS server and the pretended GPUs ...'
  started=$SECONDS
  rm -rf "$folder.partial"
  mkdir "$folder.partial"
  nice -n 5 go build -ldflags '-s -w' -o "$folder.partial/" ./... >&2
  mv "$folder.partial" "$folder"
  say "building the DNS server and the pretended GPUs: done in $((SECONDS - started)) s"
fi
rm -f "$folder.lock"
echo "$folder"
