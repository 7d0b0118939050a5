#!/usr/bin/env bash
# Prints the folder with etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet,
# kube-proxy and kubectl; builds them first when the cache has none for these sources and this Go.
# The versions stand in src/go.mod, the hashes of all modules in src/go.sum. A cold build takes
# about 8 minutes of two cores; a second run ends at once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/src"
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
say() { printf 'test cluster: %s\n' "$*" >&2; }

command -v go >/dev/null || {
  say "FAILED: 'go' is not on this machine; it builds Kubernetes for the tests"
  say "remedy: install Go $(sed -n 's/^go //p' go.mod) or newer, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl"
  exit 1
}
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS='-buildvcs=false -mod=readonly -trimpath'
version=$(sed -n 's/^require k8s.io\/kubernetes //p' go.mod)
key=$({ go version && cat go.mod go.sum kube/main.go ../build.sh; } | sha256sum | cut -c1-12)
folder=$cache/kubernetes-$version-$key
if [ -x "$folder/kube" ]; then
  echo "$folder"
  exit
fi

mkdir -p "$cache"
exec 9>"$folder.lock" # a second build waits for the first and finds its result
flock 9
if [ ! -x "$folder/kube" ]; then
  say "building Kubernetes $version and etcd (about 10 minutes, once; needs 5 GB of disk and 4 GB of memory) ..."
  started=$SECONDS
  partial=$folder.partial
  rm -rf "$partial"
  mkdir "$partial"
  minor=${version#v1.}
  flags='-s -w'
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
    flags+=" -X $package.gitTreeState=clean -X $package.gitCommit=module -X $package.buildDate=1970-01-01T00:00:00Z"
  done
  nice -n 5 go build -ldflags '-s -w' -o "$partial/etcd" go.etcd.io/etcd/server/v3 >&2
  nice -n 5 go build -ldflags "$flags" -o "$partial/kube" ./kube >&2
  for name in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    ln -s kube "$partial/$name"
  done
  mv "$partial" "$folder"
  say "building Kubernetes $version and etcd: done in $((SECONDS - started)) s"
fi
rm -f "$folder.lock"
echo "$folder"
