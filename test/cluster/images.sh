#!/usr/bin/env bash
# images.sh NODE_TOOLS NODE: prints the folder with the images of the test node as docker archives, built
# without docker: pause.tar (test.local/pause:1) and node.tar (test.local/node:1: the
# program NODE, busybox, and the system libraries that libtensorflow needs). Beside them stands `pause` itself.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/archive.sh"
tools=$1
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
node=$(readlink -f "$2")
addon=$here/../../node_modules/@tensorflow/tfjs-node-gpu
libraries() { ldd "$@" 2>/dev/null | grep -oE '/[^ :]+ \(0x' | cut -d' ' -f1 | grep -v tensorflow | sort -u; }
mapfile -t libs < <(libraries "$node" "$tools/bin/busybox" "$addon"/lib/napi-v8/*.node "$addon"/deps/lib/*.so*)
folder=$cache/node-images-$(cat "$here/images.sh" "$here/archive.sh" "$here/pause.c" <(sha256sum "$node") <(sha256sum "${libs[@]}") <(sha256sum "$tools/bin/busybox") | sha256sum | cut -c1-12)

if [ ! -d "$folder" ]; then
  mkdir -p "$cache"
  exec 9>"$folder.lock" # a second build waits for the first and finds its result
  flock 9
fi
if [ ! -d "$folder" ]; then
  rm -rf "$folder.partial"
  mkdir -p "$folder.partial"
  cd "$folder.partial"
  gcc -Os -static -s -o pause "$here/pause.c"
  mkdir root
  cp pause root/
  archive test.local/pause:1 pause '{"Entrypoint":["/pause"],"User":"65535:65535"}'

  mkdir -p root/{app,bin,dev,etc,proc,sys,tmp,usr/bin,root}
  chmod 1777 root/tmp
  cp "$node" root/usr/bin/node
  cp "$tools/bin/busybox" root/bin/
  for name in sh ls cat echo env id ps sleep kill date head grep touch mkdir rm df test true false; do
    ln -s busybox "root/bin/$name"
  done
  for library in "${libs[@]}"; do install -D "$library" "root$library"; done
  printf 'root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/tmp:/bin/sh\n' >root/etc/passwd
  printf 'root:x:0:\nnode:x:1000:\n' >root/etc/group
  echo 'hosts: files dns' >root/etc/nsswitch.conf
  archive test.local/node:1 node '{"Env":["PATH=/usr/bin:/bin"],"Cmd":["node"],"WorkingDir":"/app"}'
  cd /
  mv "$folder.partial" "$folder"
fi
rm -f "$folder.lock"
echo "$folder"
