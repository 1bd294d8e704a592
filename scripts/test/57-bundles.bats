#!/usr/bin/env bats
# md-spawn as an OCI runtime, and attacks by a bundle: hooks that run inside, mounts shared with the host, mount
# namespaces of other processes.
load lib

setup_file() {
  export box=$BATS_FILE_TMPDIR/box
  mkdir -p "$box/rootfs"/{bin,dev,proc,sys,tmp}
  cp "$(command -v busybox)" "$box/rootfs/bin/busybox"
  cp build/tools/probe "$box/rootfs"
  for applet in cat grep ls readlink sh sleep true wc; do ln -s busybox "$box/rootfs/bin/$applet"; done
  printf '#!/proc/self/exe --version\n' >"$box/rootfs/mirror"
  chmod 755 "$box/rootfs/mirror"
  make_bundle() { (cd "$box" && rm -f config.json && md-spawn spec && jq '.process.terminal = false | .root.readonly = false' config.json >c && mv c config.json); }
  make_bundle
}
setup() {
  mkdir -p /run/mydocker/bundles
  setup_leakcheck
  dir=$BATS_TEST_TMPDIR
  bundle=$dir/bundle
  mkdir "$bundle"
  ln -s "$box/rootfs" "$bundle/rootfs"
}
# First unmount what a failed test left: rm must not descend into it.
teardown() {
  md-spawn delete --force box 2>/dev/null || true
  while mountpoint -q "$box/rootfs"; do umount -R "$box/rootfs"; done
  teardown_leakcheck
}

# document FILTER writes the bundle's document, edited by jq.
document() { jq --arg root "$box/rootfs" ".root.path = \$root | $1" "$box/config.json" >"$bundle/config.json"; }
mounts() { awk '{print $4, $5}' /proc/self/mountinfo | sort; }

@test "a container with shared mounts does not unmount the host's" {
  local before
  before=$(mounts)
  like 'shared:' "$(grep ' / / ' /proc/self/mountinfo)" # as systemd leaves it
  for propagation in shared rshared; do
    document ".linux.rootfsPropagation = \"$propagation\" | .process.args = [\"true\"]"
    does md-spawn run --bundle "$bundle" box
    same "$before" "$(mounts)"
  done
}

@test "hooks that run inside cannot write to the program that starts them" {
  local before
  before=$(sha256sum bin/*)
  # The attacker is the container's own program, which runs before the hooks of the start.
  document '.process.args = ["sleep", "100"] | .hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "exec /probe overwrite >/tmp/seen &"]}]
    + [range(100) | {path: "/mirror"}]'
  md-spawn create --bundle "$bundle" box
  md-spawn start box
  eventually 20 grep -q seen "$box/rootfs/tmp/seen"
  like '^seen [1-9][0-9]* written 0$' "$(cat "$box/rootfs/tmp/seen")"
  same "$before" "$(sha256sum bin/*)"
  md-spawn delete --force box
  rm "$box/rootfs/tmp/seen"
}

@test "a poststop hook that fails is a warning, and the container is deleted" {
  document '.process.args = ["true"] | .hooks.poststop = [{path: "/bin/false"}, {path: "/bin/touch", args: ["touch", "'"$dir/second"'"]}]'
  md-spawn create --bundle "$bundle" box
  md-spawn start box
  run -0 --separate-stderr md-spawn delete --force box
  like '^md-spawn: warning: poststop hook /bin/false: exit status 1$' "$stderr"
  [[ -e $dir/second ]]
  run -1 md-spawn state box
}

# ns KIND PID
ns() { readlink "/proc/$2/ns/$1"; }

@test "a container may share the host's namespaces, or join another mount namespace" {
  local before holder pid
  before=$(mounts)
  document '.linux.namespaces = [] | del(.hostname) | .linux.rootfsPropagation = "slave" | .process.args = ["sleep", "100"]
    | .hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "readlink /proc/self/ns/mnt >/tmp/hook"]}]'
  md-spawn create --bundle "$bundle" box
  md-spawn start box
  pid=$(md-spawn state box | jq .pid)
  for kind in mnt pid net uts ipc cgroup; do same "$(ns $kind self)" "$(ns $kind "$pid")"; done
  same "$(ns mnt self)" "$(cat "$box/rootfs/tmp/hook")"
  same "$box/rootfs" "$(readlink "/proc/$pid/root")"
  # exec enters the container's root, with its mounts and masked paths.
  does md-spawn exec box sh -c 'ls /; readlink /proc/self/ns/mnt; cat /proc/keys /proc/interrupts 2>/dev/null | wc -c'
  same "$(printf 'bin\ndev\nmirror\nprobe\nproc\nsys\ntmp\n%s\n0' "$(ns mnt self)")" "$output"
  md-spawn delete --force box
  same "$before" "$(mounts)"
  # A failed start leaves no mount either.
  document '.linux.namespaces = [] | del(.hostname) | .process.args = ["/nothing"]'
  run -127 md-spawn create --bundle "$bundle" box
  same "$before" "$(mounts)"

  unshare --mount sleep 100 3>&- &
  holder=$!
  eventually 5 sh -c "[ \$(readlink /proc/$holder/ns/mnt) != $(ns mnt self) ]"
  document '.linux.namespaces |= map(if .type == "mount" then .path = "'"/proc/$holder/ns/mnt"'" else . end) | .process.args = ["sleep", "100"]'
  md-spawn create --bundle "$bundle" box
  md-spawn start box
  pid=$(md-spawn state box | jq .pid)
  same "$(ns mnt "$holder")" "$(ns mnt "$pid")"
  does md-spawn exec box ls /
  like '^bin.dev.mirror' "$output"
  same / "$(readlink "/proc/$holder/root")" # it keeps its own root
  same "$before" "$(mounts)"
  md-spawn delete --force box
  kill "$holder"
  wait "$holder" 2>/dev/null || true
  rm "$box/rootfs/tmp/hook"
  document '.linux.namespaces = [] | del(.hostname)'
  refuses 125 'want a new mount namespace' sh -c "md-spawn run <'$bundle/config.json'"
}

@test "a pid file is written beside a symbolic link at its path, not through it" {
  echo precious >"$dir/victim"
  ln -s "$dir/victim" "$dir/.pid"
  ln -s "$dir/victim" "$dir/pid"
  document '.process.args = ["true"]'
  md-spawn create --bundle "$bundle" --pid-file "$dir/pid" box
  same "$(md-spawn state box | jq .pid)" "$(cat "$dir/pid")"
  same precious "$(cat "$dir/victim")"
  md-spawn delete --force box
}
