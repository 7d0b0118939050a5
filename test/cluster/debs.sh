#!/usr/bin/env bash
# debs.sh [LIST]: prints the folder with programs unpacked from Debian packages (nothing is installed);
# fetches them first when the cache has none. Names, versions and hashes stand in LIST (default: debs.txt, with
# containerd, runc, the CNI plugins, nft and busybox); `debs.sh --pin [LIST]` writes those that apt offers now into it.
set -euo pipefail
pin=
[ "${1:-}" != --pin ] || { pin=yes && shift; }
list=$(realpath "${1:-$(dirname "${BASH_SOURCE[0]}")/debs.txt}")
cd "$(dirname "${BASH_SOURCE[0]}")"
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
say() { printf 'test cluster: %s\n' "$*" >&2; }

if [ -n "$pin" ]; then
  apt-get update -qq
  names=$(grep -v '^#' "$list" | cut -d' ' -f1)
  {
    grep '^#' "$list"
    for name in $names; do
      apt-cache show --no-all-versions "$name" | awk -v name="$name" '/^Version:/{v=$2} /^SHA256:/{h=$2} END{print name, v, h}'
    done
  } >"$list.new"
  mv "$list.new" "$list"
  exit
fi

folder=$cache/node-tools-$(sha256sum "$list" | cut -c1-12)
if [ ! -d "$folder" ]; then
  mkdir -p "$cache"
  exec 9>"$folder.lock" # a second fetch waits for the first and finds its result
  flock 9
fi
if [ ! -d "$folder" ]; then
  say "fetching the Debian packages of ${list#"$PWD/"} ..."
  partial=$folder.partial
  rm -rf "$partial"
  mkdir -p "$partial/debs"
  # apt-get download wants a folder that its own user may write into
  chmod 777 "$partial/debs"
  mapfile -t wanted < <(grep -v '^#' "$list" | awk '{print $1 "=" $2}')
  fetch() { (cd "$partial/debs" && apt-get download -qq "${wanted[@]}" >&2); }
  fetch 2>/dev/null || { apt-get update -qq >&2 && fetch; } || {
    say "FAILED: fetching the Debian packages of $list"
    say 'remedy: on Debian 12, check the connection; when a version is no longer served, run test/cluster/debs.sh --pin [LIST] and look at the difference'
    exit 1
  }
  while read -r name _ hash; do
    for file in "$partial/debs/${name}"_*.deb; do
      echo "$hash  $file" | sha256sum --check --quiet >&2 || {
        say "FAILED: ${file##*/} has another hash than $list says"
        say 'remedy: run it again; if the hash stays, do not use the package'
        exit 1
      }
      dpkg -x "$file" "$partial"
    done
  done < <(grep -v '^#' "$list")
  rm -rf "$partial/debs" "$partial"/usr/share/{doc,man,locale,bash-completion,zsh,fish}
  mv "$partial" "$folder"
fi
rm -f "$folder.lock"
echo "$folder"
