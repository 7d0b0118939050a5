#!/usr/bin/env bash
# images.sh [IMAGE...]: builds the images operator, trainer (CUDA) and trainer-cpu, or the named ones, with the first
# of docker, podman and buildah that works. Environment: REGISTRY and TAG form the names, PUSH=yes pushes the images,
# BUILDER is another program with a `build` command, BUILD_OPTIONS are additional options for it.
set -euo pipefail
cd "$(dirname "$0")/.."
registry=${REGISTRY:+${REGISTRY%/}/}
version=$(sed -n 's/^  "version": "\(.*\)",/\1/p' package.json)
tag=${TAG:-$version}
read -ra options <<<"${BUILD_OPTIONS:-}"

works() { command -v "$1" >/dev/null && "$1" info >/dev/null 2>&1; }
builder=${BUILDER:-}
for program in docker podman buildah; do
  if [ -z "$builder" ] && works "$program"; then builder=$program; fi
done
if [ -z "$builder" ]; then
  echo 'images: FAILED: neither docker nor podman nor buildah works on this machine' >&2
  echo 'remedy: install one of them (Debian: apt-get install buildah), or start the Docker daemon' >&2
  exit 1
fi

# image NAME DOCKERFILE OPTIONS...
image() {
  local name=$registry$1 dockerfile=$2
  shift 2
  "$builder" build --file "$dockerfile" --tag "$name" "$@" --build-arg VERSION="$version" \
    --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" "${options[@]}" .
  if [ "${PUSH:-}" = yes ]; then "$builder" push "$name"; fi
  echo "images: $name" >&2
}

[ $# -gt 0 ] || set -- operator trainer trainer-cpu
for name in "$@"; do
  case $name in
    operator) image "greedy-infomax/operator:$tag" operator/Dockerfile ;;
    trainer) image "greedy-infomax/trainer:$tag" trainer/Dockerfile --build-arg DEVICE=gpu ;;
    trainer-cpu) image "greedy-infomax/trainer:$tag-cpu" trainer/Dockerfile --build-arg DEVICE=cpu ;;
    *) echo "images: FAILED: there is no image '$name'; there are operator, trainer and trainer-cpu" >&2 && exit 1 ;;
  esac
done
