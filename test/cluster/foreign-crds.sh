#!/usr/bin/env bash
# Prints a folder with CRDs of the projects whose objects the chart or the examples make: Kueue, KEDA, cert-manager and
# the Prometheus operator. They come from Go modules; foreign-crds.txt pins version and hash of each.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
folder=$cache/foreign-crds-$(cat "$here"/foreign-crds.{sh,txt} | sha256sum | cut -c1-12)
say() { printf 'test cluster: %s\n' "$*" >&2; }
fail() {
  say "FAILED: $1"
  say "remedy: $2"
  exit 1
}

if [ ! -d "$folder" ]; then
  command -v go >/dev/null || fail "'go' is not on this machine; it fetches CRDs" 'install Go 1.26 or newer'
  mkdir -p "$cache"
  say 'fetching CRDs of other projects (16 MB) ...'
  partial=$(mktemp -d "$folder.XXXXXX")
  chmod 755 "$partial"
  while read -r module hash path; do
    [[ $module && $module != \#* ]] || continue
    answer=$(cd "$partial" && GOTOOLCHAIN=local GO111MODULE=on go mod download -json "$module") ||
      fail "fetching $module: $answer" 'check the connection to the Go module proxy, then run this again'
    grep -q "\"Sum\": \"$hash\"" <<<"$answer" ||
      fail "$module has another hash than foreign-crds.txt says" 'run it again; if the hash stays, do not use the module'
    root=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<<"$answer")
    cp "$root/$path" "$partial/"
  done <"$here/foreign-crds.txt"
  chmod 644 "$partial"/*
  mv -T "$partial" "$folder" 2>/dev/null || rm -rf "$partial" # another was first
fi
echo "$folder"
