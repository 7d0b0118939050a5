#!/usr/bin/env bash
# Prints the folder with Debian's buildah, runc and debootstrap, which nothing need be installed for.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$("$here/../cluster/debs.sh" "$here/debs.txt")
mkdir -p "$tools/ready"
# Both start themselves again with an empty environment, so LD_LIBRARY_PATH would be lost.
for program in usr/bin/buildah usr/sbin/runc; do
  ready=$tools/ready/${program##*/}
  if [ ! -x "$ready" ]; then
    cp "$tools/$program" "$ready.$$"
    "$tools/usr/bin/patchelf" --force-rpath --set-rpath "$tools/usr/lib/x86_64-linux-gnu:$tools/lib/x86_64-linux-gnu" "$ready.$$"
    mv "$ready.$$" "$ready"
  fi
done
echo "$tools"
