#!/usr/bin/env bats
# Attacks by images and registries on the whole program: names without content, and certificates. The rest is in
# lib/image/proof_test.go and lib/registry/untrusted_test.go.
load lib

setup_file() {
  export certs=$BATS_FILE_TMPDIR/certs
  mkdir "$certs"
  authority
  certificate server -addext subjectAltName=IP:198.51.100.1
  certificate client
  start_registry
}
teardown_file() { kill "$(cat "$BATS_FILE_TMPDIR/pid")"; }
setup() {
  setup_leakcheck
  export MYDOCKER_ROOT=$BATS_TEST_TMPDIR/root MYDOCKER_RUN=$BATS_TEST_TMPDIR/run XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/config
  dir=$BATS_TEST_TMPDIR
}
teardown() {
  unset MYDOCKER_ROOT MYDOCKER_RUN XDG_CONFIG_HOME
  teardown_leakcheck
}

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout "$certs/ca.private" -out "$certs/ca.crt" 2>/dev/null
}

# certificate NAME [OPTION...] creates NAME.cert and NAME.key, signed by the authority.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -CA "$certs/ca.crt" -CAkey "$certs/ca.private" \
    -addext basicConstraints=critical,CA:FALSE -keyout "$certs/$1.key" -out "$certs/$1.cert" "${@:2}" 2>/dev/null
}

# start_registry serves the test bed's images over TLS to clients with a certificate of the authority, at $secure.
start_registry() {
  cat >"$BATS_FILE_TMPDIR/config.yml" <<-YAML
	version: 0.1
	log: {level: info, accesslog: {disabled: true}}
	storage: {filesystem: {rootdirectory: $(dirname "$CONTAINERS_REGISTRIES_CONF")/storage}}
	http:
	  addr: "198.51.100.1:0"
	  tls: {certificate: $certs/server.cert, key: $certs/server.key, clientcas: [$certs/ca.crt]}
	YAML
  docker-registry serve "$BATS_FILE_TMPDIR/config.yml" >"$BATS_FILE_TMPDIR/log" 2>&1 3>&- &
  echo $! >"$BATS_FILE_TMPDIR/pid"
  eventually 10 grep -q 'listening on 198' "$BATS_FILE_TMPDIR/log"
  secure=$(grep -oE '198\.51\.100\.1:[0-9]+' "$BATS_FILE_TMPDIR/log" | head -1)
  export secure
}

# blob FILE TYPE adds the file to the layout $thief and prints its descriptor.
blob() {
  local digest
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  cp "$1" "$thief/blobs/sha256/$digest"
  jq -nc --arg d "sha256:$digest" --arg t "application/vnd.oci.image.$2" --argjson s "$(stat -c %s "$1")" '{mediaType: $t, digest: $d, size: $s}'
}

# steal LAYER-DESCRIPTOR makes $thief an image with the configuration $config and that layer only.
steal() {
  jq -nc --argjson c "$(blob "$dir/config.json" config.v1+json)" --argjson l "$1" \
    '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: $c, layers: [$l]}' >"$dir/manifest.json"
  jq -nc --argjson m "$(blob "$dir/manifest.json" manifest.v1+json)" '{schemaVersion: 2, manifests: [$m + {annotations: {"org.opencontainers.image.ref.name": "latest"}}]}' \
    >"$thief/index.json"
}

@test "an image that names a layer of another image does not get it" {
  local manifest config thief=$dir/thief
  scripts/busybox-layout "$dir/private"
  does md-pull -q "ocidir:$dir/private:latest"
  mkdir -p "$thief/blobs/sha256"
  echo '{"imageLayoutVersion": "1.0.0"}' >"$thief/oci-layout"
  manifest=$dir/private/blobs/sha256/$(jq -r '.manifests[0].digest' "$dir/private/index.json" | cut -d: -f2)
  config=$dir/private/blobs/sha256/$(jq -r .config.digest "$manifest" | cut -d: -f2)
  jq '.config.Cmd = ["cat", "/etc/passwd"]' "$config" >"$dir/config.json"
  tar -cf "$dir/other.tar" -C "$dir" config.json

  steal "$(blob "$dir/other.tar" layer.v1.tar)" # names its diff id
  refuses 1 'unpacked layer has digest sha256:' md-pull -q "ocidir:$thief:latest"
  steal "$(jq -c '.layers[0]' "$manifest")" # names its blob's digest
  refuses 1 'no such file|does not exist' md-pull -q "ocidir:$thief:latest"
  tar -cf "$dir/thief.tar" -C "$thief" .
  refuses 1 'file does not exist' md-pull -q - <"$dir/thief.tar"
  refuses 125 'not found|no image|cannot be reached' mydocker run --rm --net none thief

  cp "$dir/private/blobs/sha256/$(jq -r '.layers[0].digest' "$manifest" | cut -d: -f2)" "$thief/blobs/sha256/" # the image has the blob itself
  does md-pull -q "ocidir:$thief:latest"
  does mydocker run --rm --net none thief
  like '^root:x:0:0:' "$output"
}

@test "certs.d holds a registry's authority and the client's certificate" {
  local host=$XDG_CONFIG_HOME/containers/certs.d/$secure image=$secure/library/busybox:latest
  refuses 1 "unknown authority: add its certificate authority as /etc/docker/certs.d/$secure/ca.crt" mydocker pull -q "$image"
  mkdir -p "$host"
  cp "$certs/ca.crt" "$host"
  refuses 1 "closed the connection: .*it may require a client certificate" mydocker pull -q "$image"
  cp "$certs/client.cert" "$host"
  refuses 1 "$host/client.cert: missing client.key" mydocker pull -q "$image"
  cp "$certs/client.key" "$host"
  does mydocker pull -q "$image"
  does mydocker run --rm --net none "$image" echo fine
  same fine "$output"
  rm -r "$XDG_CONFIG_HOME"
  does md-pull -q --cert-dir "$certs" "$secure/library/zstd:latest"
  does mydocker pull -q --cert-dir "$certs" "$secure/library/zstd:latest"
  refuses 1 "$dir/none" md-pull -q --cert-dir "$dir/none" "$image"
}
