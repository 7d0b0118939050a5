#!/usr/bin/env bash
# nats-image.sh NATS_SERVER: prints the path of a docker archive of test.local/nats:1, with that program and nothing else.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/archive.sh"
server=$(readlink -f "$1")
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
folder=$cache/nats-image-$(cat "$here/nats-image.sh" "$here/archive.sh" "$server" | sha256sum | cut -c1-12)
if [ ! -d "$folder" ]; then
  mkdir -p "$cache"
  partial=$(mktemp -d "$folder.XXXXXX")
  cd "$partial"
  mkdir root
  cp "$server" root/nats-server
  archive test.local/nats:1 nats '{"Entrypoint":["/nats-server"],"User":"1000:1000"}'
  cd /
  mv -T "$partial" "$folder" 2>/dev/null || rm -rf "$partial" # another was first
fi
echo "$folder/nats.tar"
