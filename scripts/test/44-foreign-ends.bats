#!/usr/bin/env bats
# Other tools at the ends of the pipe: runc and crun as the last stage, a document of runc as the first,
# and skopeo, umoci and buildah at the image store.
load lib

setup_file() { warm_up busybox odd; }
setup() {
  rm -rf /run/runc /run/crun # their state directories, which they leave
  setup_leakcheck
  dir=$BATS_TEST_TMPDIR
  bundle=$dir/b
  store=/var/lib/mydocker/images
  mkdir "$bundle"
}
teardown() {
  rm -rf /run/runc /run/crun
  teardown_leakcheck
}

# bundle ARG... prepares a container for another runtime.
prepare() {
  md-rootfs mount -v /anonymous --hostname box busybox "$@" | md-cgroup create --memory-limit 64m --pids-max 20 |
    md-net attach -p 8080:80 >"$bundle/config.json"
}

# The container runs with its limits and network, and the hooks clean up after it.
as_last_stage() {
  local runtime=$1
  prepare sh -c 'echo hello; hostname; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; ip -o -4 addr show | grep -c 10.20.30; exit 7'
  run -7 --separate-stderr "$runtime" run -b "$bundle" x
  same $'hello\nbox\n67108864\n1' "$output"
  same '' "$stderr"
  rm -rf "/run/$runtime"
  "$leakcheck" compare "$dir/../before-$runtime"
}

published() {
  local runtime=$1
  prepare httpd -f -p 80 -h /var/www
  "$runtime" run -d -b "$bundle" x </dev/null >/dev/null 2>&1 3>&-
  eventually 5 curl -fs http://127.0.0.1:8080/
  same 'hello from busybox' "$(curl -fs http://127.0.0.1:8080/)"
  same 'hello from busybox' "$(ip netns exec other curl -fs http://198.51.100.1:8080/)"
  "$runtime" kill x KILL
  eventually 5 "$runtime" delete x
  rm -rf "/run/$runtime"
  "$leakcheck" compare "$dir/../before-$runtime"
}

@test "runc as the last stage cleans up by the hooks" {
  "$leakcheck" snapshot "$dir/../before-runc"
  as_last_stage runc
  published runc
}

# crun 1.8 refuses a host where v2 has a controller beside the hierarchies of v1. In the ring v2 has none.
@test "crun as the last stage cleans up by the hooks" {
  "$leakcheck" snapshot "$dir/../before-crun"
  as_last_stage crun
  published crun
}

@test "the pipe starts from a document of runc" {
  mkdir "$dir/root"
  cp "$(command -v busybox)" "$dir/root/"
  runc spec -b "$bundle"
  local changes='.root = {path: $root} | .process.terminal = false | .process.args = ["/busybox", "sh", "-c", $script]'
  # shellcheck disable=SC2016
  run -9 --separate-stderr bash -o pipefail -c 'jq --arg root "$1" --arg script "$2" "$3" "$4" |
    md-net attach -p 8080:80 | md-cgroup create --pids-max 20 | md-spawn run' - "$dir/root" \
    '/busybox ip -o -4 addr show | /busybox grep -c 10.20.30; /busybox hostname; echo "$TERM"; exit 9' "$changes" "$bundle/config.json"
  same $'1\nrunc\nxterm' "$output"
  same '' "$stderr"
}

@test "skopeo and umoci read the store" {
  same "$(md-pull -q odd)" "$(skopeo inspect "oci:$store:odd:latest" | jq -r .Digest)"
  does skopeo copy -q "oci:$store:odd:latest" "oci-archive:$dir/odd.tar:odd"
  does umoci ls --layout "$store"
  same $'busybox:latest\nodd:latest' "$(sort <<<"$output")"
  umoci unpack --image "$store:odd:latest" "$dir/unpacked"
  same seed "$(cat "$dir/unpacked/rootfs/data/seed")"
  mydocker run -d --name odd -u root --entrypoint sleep odd 100 >/dev/null
  # The same files with the same owners and modes, except those that mydocker adds to a container.
  list() { (cd "$1" && find . \( -path ./dev -o -path ./proc -o -path ./sys -o -path ./data -o -path ./srv/app/work \
    -o -path ./etc/hosts -o -path ./etc/hostname -o -path ./etc/resolv.conf \) -prune -o ! -type d -printf '%p %y %m %U:%G %s %l\n' | sort); }
  diff <(list "$dir/unpacked/rootfs") <(list "$(md-rootfs path odd)")
}

@test "buildah builds on an image of the store, and mydocker reads the result" {
  local buildah=(buildah --root "$dir/buildah" --runroot "$dir/buildah-run" --storage-driver vfs) container form
  container=$("${buildah[@]}" from -q "oci:$store:busybox:latest")
  same 'hello from busybox' "$("${buildah[@]}" run --isolation chroot "$container" cat /var/www/index.html)"
  "${buildah[@]}" config --env BUILT=yes --workingdir /srv/made "$container"
  echo new >"$dir/new"
  "${buildah[@]}" copy -q "$container" "$dir/new" /srv/made/new >/dev/null
  for form in "oci:$dir/layout:built" "oci-archive:$dir/oci.tar:built" "docker-archive:$dir/docker.tar:built:tag"; do
    "${buildah[@]}" commit -q "$container" "$form" >/dev/null
  done
  cp "$dir/oci.tar" "$dir/umoci.tar"
  skopeo copy -q "oci:$dir/layout:built" "oci:$dir/umoci:built"
  umoci config --image "$dir/umoci:built" --config.env TOUCHED=umoci
  for form in "ocidir:$dir/layout:built" "oci-archive:$dir/oci.tar" "docker-archive:$dir/docker.tar" - "ocidir:$dir/umoci:built"; do
    id=$(md-pull -q "$form" <"$dir/oci.tar")
    does mydocker run --rm --net none "$id" sh -c 'pwd; echo $BUILT$TOUCHED; cat new'
    like $'^/srv/made\nyes(umoci)?\nnew$' "$output"
  done
  same yesumoci "${lines[1]}"
  for id in $(mydocker images | awk 'NR > 1 && $2 != "busybox" && $2 != "odd" {print $1}'); do
    mydocker rmi "$id" >/dev/null
  done
  "${buildah[@]}" rm -a >/dev/null
  rm -rf "$dir/buildah"
}
