#!/usr/bin/env bash
# Prints the folder of the synthetic speech (`data.format: wav`), and creates it if the cache has none: downloads
# Flite from Debian packages (without installing them) and synthesises, about 2 minutes and 80 MB.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cache=${GREEDY_INFOMAX_CACHE:-$HOME/.cache/greedy-infomax}
say() { printf 'speech: %s\n' "$*" >&2; }

folder=$cache/synthetic-speech-$(cat debs.txt speech.ts synthesise.ts | sha256sum | cut -c1-12)
if [ ! -d "$folder" ]; then
  mkdir -p "$cache"
  exec 9>"$folder.lock" # a second run waits for the first and finds its result
  flock 9
fi
if [ ! -d "$folder" ]; then
  partial=$folder.partial
  rm -rf "$partial"
  mkdir -p "$partial/debs" "$partial/flite"
  chmod 777 "$partial/debs" # apt-get download wants a folder that its own user may write into
  say 'fetching the speech synthesiser Flite (13 MB) ...'
  mapfile -t wanted < <(grep -v '^#' debs.txt | awk '{print $1 "=" $2}')
  fetch() { (cd "$partial/debs" && apt-get download -qq "${wanted[@]}" >&2); }
  fetch 2>/dev/null || { apt-get update -qq >&2 && fetch; } || {
    say 'FAILED: fetching the Debian packages of setup/speech/debs.txt'
    say 'remedy: on Debian 12, check the connection to its package archive and run this again; on other systems put your own WAV files in the place that the run file names'
    exit 1
  }
  while read -r name _ hash; do
    echo "$hash  $(echo "$partial/debs/${name}"_*.deb)" | sha256sum --check --quiet >&2 || {
      say "FAILED: the package $name has another hash than debs.txt says"
      say 'remedy: run it again; if the hash stays, do not use the package'
      exit 1
    }
    dpkg -x "$partial/debs/${name}"_*.deb "$partial/flite"
  done < <(grep -v '^#' debs.txt)
  say 'synthesising 800 sentences by 16 speakers (about 2 minutes) ...'
  LD_LIBRARY_PATH="$partial/flite/usr/lib/x86_64-linux-gnu" node --disable-warning=ExperimentalWarning \
    synthesise.ts --flite "$partial/flite/usr/bin/flite" --out "$partial/speech"
  rm -rf "$folder"
  mv "$partial/speech" "$folder"
  rm -rf "$partial"
fi
rm -f "$folder.lock"
echo "$folder"
