#!/usr/bin/env bash
# Prints the Python that has PyTorch; installs it first if it is not there (about 5.5 GB, since PyTorch comes with
# its GPU libraries), keyed by version. TORCH_PYTHON names a Python that has it already.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -n "${TORCH_PYTHON:-}" ]; then
  echo "$TORCH_PYTHON"
  exit
fi
requirements=test/parity/requirements.txt
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
version=$(sed -n 's/^torch==//p' $requirements)
folder=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}/torch-$version-python$python
if [ ! -d "$folder" ]; then
  echo "installing PyTorch $version (about 5.5 GB, a few minutes) ..." >&2
  partial=$folder.partial.$$
  trap 'rm -rf "$partial"' EXIT
  python3 -m venv "$partial"
  "$partial/bin/python" -m pip install --quiet --only-binary=:all: --requirement $requirements >&2
  mv "$partial" "$folder"
fi
echo "$folder/bin/python"
