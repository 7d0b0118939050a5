#!/usr/bin/env bash
# buildah.sh ARGUMENTS...: Debian's buildah, not installed, with all that it keeps in a folder of the project's cache. Needs root.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
tools=$("$here/tools.sh")
folder=$cache/images
if [ ! -f "$folder/storage.conf" ]; then
  mkdir -p "$folder/home/.config/containers"
  echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$folder/home/.config/containers/policy.json"
  # vfs copies whole layers, but works where overlay mounts do not
  driver=vfs
  mkdir -p "$folder/probe"/{lower,upper,work,merged}
  if mount -t overlay overlay -o "lowerdir=$folder/probe/lower,upperdir=$folder/probe/upper,workdir=$folder/probe/work" "$folder/probe/merged" 2>/dev/null; then
    umount "$folder/probe/merged"
    driver=overlay
  fi
  rm -rf "$folder/probe"
  printf '[storage]\ndriver="%s"\ngraphroot="%s"\nrunroot="%s"\n' "$driver" "$folder/storage" "$folder/run" >"$folder/storage.conf.$$"
  mv "$folder/storage.conf.$$" "$folder/storage.conf"
fi
export HOME=$folder/home CONTAINERS_STORAGE_CONF=$folder/storage.conf CONTAINERS_CONF=/dev/null CONTAINERS_REGISTRIES_CONF=/dev/null
export BUILDAH_ISOLATION=chroot TMPDIR=$folder
exec "$tools/ready/buildah" "$@"
