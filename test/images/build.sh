#!/usr/bin/env bash
# build.sh IMAGE: builds operator, trainer or trainer-cpu from this checkout's Dockerfiles, where no image registry can be
# reached, and prints the path of a docker archive of it, named test.local/greedy-infomax/…:test as `buildah.sh images` shows.
# A build with the same inputs is not repeated, and one with other sources alone keeps the layers below them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
image=$1
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
say() { printf 'images: %s\n' "$*" >&2; }

case $image in
  operator) name=operator:test parts=(operator) ;;
  trainer) name=trainer:test parts=(trainer setup) ;;
  trainer-cpu) name=trainer:test-cpu parts=(trainer setup) ;;
  *) say "FAILED: there is no image '$image'" && exit 1 ;;
esac
name=test.local/greedy-infomax/$name

mkdir -p "$cache"
exec 9>"$cache/images.lock" # a second build waits for the first and finds its result
flock 9
base=$("$here/base.sh")
inputs=$(find "${parts[@]}" crds/src -type f ! -path '*/node_modules/*' ! -name '*.test.ts' ! -name 'test-*.ts' | sort)
# An image has what Node compiled while it was built, which is for this kind of processor.
processor=$(grep -m 1 '^flags' /proc/cpuinfo | sha256sum | cut -c1-12)
key=$({ echo "$base $processor" && cat "$here"/*.sh .dockerignore LICENSE package.json package-lock.json */package.json && xargs sha256sum <<<"$inputs"; } | sha256sum | cut -c1-12)
archive=$cache/image-$image-$key.tar
if [ ! -f "$archive" ]; then
  # How RUN steps reach the package registries from this machine; mounted, so that no layer has it.
  settings=$(mktemp -d)
  trap 'rm -rf "$settings" "$archive.partial"' EXIT
  certificates=$(npm config get cafile)
  [ -f "$certificates" ] || certificates=/etc/ssl/certs/ca-certificates.crt
  [ -f "$certificates" ] || certificates=/dev/null
  cp "$certificates" "$settings/certificates.crt"
  printf 'registry=%s\ncafile=/mnt/certificates.crt\n' "$(npm config get registry)" >"$settings/npmrc"
  printf '[global]\ncert = /mnt/certificates.crt\n' >"$settings/pip.conf"
  index=$(python3 -m pip config get global.index-url 2>/dev/null || true)
  [ -z "$index" ] || echo "index-url = $index" >>"$settings/pip.conf"

  started=$SECONDS
  say "building $image (some minutes the first time) ..."
  REGISTRY=test.local TAG=test BUILDER=$here/buildah.sh \
    BUILD_OPTIONS="--layers --pull-never --build-arg NODE_IMAGE=$base --build-arg PROCESSOR=$processor --volume $settings/npmrc:/usr/local/etc/npmrc:ro --volume $settings/pip.conf:/etc/pip.conf:ro --volume $settings/certificates.crt:/mnt/certificates.crt:ro" \
    setup/images.sh "$image" >"$cache/image-$image.log" 2>&1 || {
    tail -n 30 "$cache/image-$image.log" >&2
    say "FAILED: building $image; all of its output: $cache/image-$image.log"
    exit 1
  }
  rm -f "$archive.partial"
  "$here/buildah.sh" push --quiet "$name" "docker-archive:$archive.partial:$name" >&2
  rm -f "$cache/image-$image"-*.tar
  mv "$archive.partial" "$archive"
  say "building $image: done in $((SECONDS - started)) s"
fi
echo "$archive"
