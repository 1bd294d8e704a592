#!/usr/bin/env bats
# md-spawn as the OCI runtime of another engine: podman.
load lib

setup_file() {
  dir=$BATS_FILE_TMPDIR
  "$BATS_TEST_DIRNAME/../busybox-layout" "$dir/busybox"
  skopeo copy -q "oci:$dir/busybox:latest" "docker-archive:$dir/busybox.tar:docker.io/library/busybox:latest"
  runtime=$(command -v md-spawn)
  export runtime
}

setup() {
  dir=$BATS_FILE_TMPDIR
  setup_leakcheck
}
# What podman keeps for ever, as it does with runc.
teardown() {
  rm -rf /run/libpod /run/mydocker
  find /sys/fs/cgroup/*/libpod_parent -depth -type d -exec rmdir {} + 2>/dev/null || true
  teardown_leakcheck
}

@test "podman: run, exec, logs, stop, rm, and exit codes" {
  export CONTAINERS_CONF=$dir/containers.conf CONTAINERS_STORAGE_CONF=$dir/storage.conf
  printf '[engine]\nruntime = "md-spawn"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n[engine.runtimes]\nmd-spawn = ["%s"]\n' \
    "$runtime" >"$CONTAINERS_CONF"
  printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$dir/storage" "$dir/run" >"$CONTAINERS_STORAGE_CONF"
  podman load -q -i "$dir/busybox.tar"
  local run=(podman run --network none)
  run -7 --separate-stderr "${run[@]}" --rm busybox sh -c 'echo out; echo err >&2; exit 7'
  same out "$output"
  same err "$stderr"
  run -127 "${run[@]}" --rm busybox nothing
  run -126 "${run[@]}" --rm busybox /etc
  does "${run[@]}" --rm --memory 64m --pids-limit 20 --hostname inside --user 1000 --read-only busybox sh -c 'hostname; id -u; touch /x 2>/dev/null || echo read-only'
  same $'inside\n1000\nread-only' "$output"
  "${run[@]}" -d --name box busybox sh -c 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.1; done'
  eventually 20 sh -c 'podman logs box | grep ready'
  does podman exec box sh -c 'echo $1; cat /proc/1/comm' sh word
  same $'word\nsh' "$output"
  run -5 podman exec box sh -c 'exit 5'
  does podman exec -t box tty
  like '/dev/pts/0' "$output"
  podman pause box
  podman unpause box
  podman stop -t 10 box
  does podman logs box
  same $'ready\nbye' "$output"
  same 3 "$(podman inspect -f '{{.State.ExitCode}}' box)"
  podman rm box
  same '' "$(podman ps -aq)"
  ! mountpoint -q "$dir/storage/vfs" || umount "$dir/storage/vfs"
  rm -rf "$dir/storage" "$dir/run"
}
