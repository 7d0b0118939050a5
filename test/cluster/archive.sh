# shellcheck shell=bash
# archive IMAGE FILE CONFIG: packs the folder root/ as image IMAGE, into FILE.tar; the same content gives the same bytes.
archive() {
  local stable=(--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu)
  tar -C root "${stable[@]}" -cf layer.tar .
  local layer
  layer=$(sha256sum layer.tar | cut -d' ' -f1)
  cat >config.json <<J
{"architecture":"amd64","os":"linux","created":"1970-01-01T00:00:00Z","config":$3,"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
J
  echo '[{"Config":"config.json","RepoTags":["'"$1"'"],"Layers":["layer.tar"]}]' >manifest.json
  tar "${stable[@]}" -cf "$2.tar" config.json layer.tar manifest.json
  rm -rf root config.json layer.tar manifest.json
}
