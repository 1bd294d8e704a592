#!/usr/bin/env bats
# Images from registries, layouts and archives.
load lib

setup_file() { warm_up busybox; }
setup() {
  setup_leakcheck
  export MYDOCKER_ROOT=$BATS_TEST_TMPDIR/root MYDOCKER_RUN=$BATS_TEST_TMPDIR/run
}
teardown() {
  unset MYDOCKER_ROOT MYDOCKER_RUN
  teardown_leakcheck
}

runs() {
  does mydocker run --rm --net none -i "$1" echo fine
  same fine "$output"
}

@test "pull reads gzip, zstd, an index, a digest and an image of another registry" {
  local ref digest
  digest=$(md-pull -q busybox)
  like '^sha256:[0-9a-f]{64}$' "$digest"
  for ref in zstd multi "busybox@$digest" "$TESTBED_REGISTRY/library/busybox:latest"; do
    does md-pull -q "$ref"
    runs "$ref"
  done
}

@test "--platform pulls the image of another platform" {
  does md-pull -q --platform linux/s390x multi
  like '^sha256:' "$output"
}

@test "a second pull downloads no layer" {
  mydocker pull busybox >/dev/null
  local layers
  layers=$(find "$MYDOCKER_ROOT/layers" "$MYDOCKER_ROOT/images/blobs" | sort | md5sum)
  does mydocker pull busybox
  like 'Status: Image is up to date for busybox:latest' "$output"
  same "$layers" "$(find "$MYDOCKER_ROOT/layers" "$MYDOCKER_ROOT/images/blobs" | sort | md5sum)"
}

@test "images are imported from layouts and archives" {
  local dir=$BATS_TEST_TMPDIR
  scripts/busybox-layout "$dir/layout"
  skopeo copy -q "oci:$dir/layout:latest" "oci-archive:$dir/oci.tar:box:1"
  skopeo copy -q "oci:$dir/layout:latest" "docker-archive:$dir/docker.tar:box:2"
  local source
  for source in "ocidir:$dir/layout:latest" "oci-archive:$dir/oci.tar" "docker-archive:$dir/docker.tar"; do
    does md-pull -q "$source"
    like '^sha256:[0-9a-f]{64}$' "$output"
  done
  md-pull -q - <"$dir/docker.tar" >/dev/null
  runs box:1
  runs box:2
}

@test "the store is an OCI layout that skopeo reads" {
  mydocker pull busybox >/dev/null
  mydocker pull odd >/dev/null
  local name
  for name in $(jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' "$MYDOCKER_ROOT/images/index.json"); do
    skopeo inspect --raw "oci:$MYDOCKER_ROOT/images:$name" | jq -e '.layers | length > 0' >/dev/null
  done
}

@test "whiteouts of mysql's last layer remove files" {
  mydocker pull mysql:5.7.25 >/dev/null
  local driver
  for driver in overlay2 vfs; do
    does mydocker run --rm --net none -s "$driver" --entrypoint sh mysql:5.7.25 -c \
      'ls -d /usr/share/doc /usr/share/mysql 2>/dev/null; ls -A /var/cache/apt /var/lib/mysql | wc -w; find / -xdev -name ".wh.*"; stat -c %a /usr/bin/passwd'
    same $'/usr/share/mysql\n2\n4755' "$output"
  done
}

@test "pull prints the README's lines, and image rm removes the image" {
  does mydocker pull busybox
  same 'latest: Pulling from library/busybox' "${lines[0]}"
  does mydocker image rm busybox
  same 1 "$(mydocker images | wc -l)"
  same '' "$(find "$MYDOCKER_ROOT/layers" "$MYDOCKER_ROOT/images/blobs/sha256" -mindepth 1 2>/dev/null)"
}
