#!/usr/bin/env bats
# md-spawn and runc with the same command lines, step by step: engines must read the same from both.
load lib

setup_file() {
  "$BATS_TEST_DIRNAME/../busybox-layout" "$BATS_FILE_TMPDIR/busybox"
  umoci unpack --image "$BATS_FILE_TMPDIR/busybox:latest" "$BATS_FILE_TMPDIR/unpacked"
}

setup() {
  dir=$BATS_TEST_TMPDIR
  setup_leakcheck
}
teardown() { teardown_leakcheck; }

# bundle RUNTIME COMMAND... creates a bundle with the runtime's own document, and sets $r to the command line.
bundle() {
  r=("$1" --root "$dir/$1" --log "$dir/$1.log" --log-format json)
  b=$dir/bundle-$1
  rm -rf "$b"
  mkdir "$b"
  "${r[@]}" spec -b "$b"
  shift
  # shellcheck disable=SC2016 # jq's
  jq --arg root "$BATS_FILE_TMPDIR/unpacked/rootfs" --argjson args "$(printf '%s\n' "$@" | jq -R . | jq -s .)" \
    '.root.path = $root | .process.terminal = false | .process.args = $args | .process.capabilities.bounding = ["CAP_KILL"]
    | .process.capabilities |= (.effective = .bounding | .permitted = .bounding | .ambient = [])
    | .hostname = "box" | .linux.cgroupsPath = "/mydocker/box" | .linux.seccomp = null | .annotations = {key: "value"}' \
    <"$b/config.json" >"$b/new"
  mv "$b/new" "$b/config.json"
}

# try WORDS... prints the exit code, and the output without what differs between runtimes.
try() {
  local code=0
  "${r[@]}" "$@" </dev/null >"$dir/out" 2>"$dir/err" 3>&- || code=$?
  # An error of the runtime is 1 or 255 for runc, and 1, 2, 125, 126 or 127 for md-spawn.
  echo "$*: $code" | sed -E "s,${dir}[^ ]*/,,g; s/bundle-[a-z-]*/bundle/; s/: (1|2|12[567]|255)$/: fails/"
  sed -E "s,${dir}[^ \"]*/,,g" "$dir/out"
  # Engines look for these words; the rest may differ.
  grep -oiE 'container (does not exist|not running)|executable file not found in \$PATH|no such file or directory|permission denied' "$dir/err" |
    sed 's/executable.*/no such file or directory/' | sort -u || true
}

# shape prints all keys of a JSON document.
shape() { jq -r 'paths | map(if type == "number" then 0 else . end) | join(".")' "$dir/out" | sort -u; }

# life RUNTIME runs the calls of an engine during a container's life.
life() {
  bundle "$1" sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
  try state box
  try create -b "$b" --pid-file "$dir/pid" box
  try create -b "$b" box
  try state box >"$dir/state"
  jq -r '"\(.id) \(.status) \(.annotations.key) \(.rootfs | length > 0)"' "$dir/out"
  [[ $(jq .pid "$dir/out") == "$(cat "$dir/pid")" ]]
  try list -q
  try exec box true
  try start box
  try start box
  try delete box
  try list -f json >/dev/null
  jq -r '.[] | "\(.id) \(.status)"' "$dir/out"
  shape
  try exec box sh -c 'hostname; id -u; exit 9'
  try exec -u 7:8 -g 9 -g 10 -e K=V --cwd /tmp -c CAP_SYS_ADMIN --no-new-privs box \
    sh -c 'id -u; id -G; echo $K; pwd; grep -E "CapBnd|NoNewPrivs" /proc/self/status'
  try exec box nothing
  try exec box /etc
  jq '.process | .args = ["sh", "-c", "pwd; echo $OF_A_FILE; exit 4"] | .env += ["OF_A_FILE=yes"] | .cwd = "/var"' "$b/config.json" >"$dir/process"
  try exec --process "$dir/process" box
  try exec -p "$dir/process" -d --pid-file "$dir/exec" box
  [[ -s $dir/exec ]]
  try ps box true >/dev/null
  try ps -f json box >/dev/null
  jq -c 'contains([$pid])' --argjson pid "$(cat "$dir/pid")" "$dir/out"
  try ps box | awk 'NR == 1 {print $0 ~ /PID/}'
  echo '{"memory": {"limit": 33554432}, "pids": {"limit": 50}, "cpu": {"shares": 512, "quota": 0}}' >"$dir/limits"
  try update -r "$dir/limits" box
  try exec box sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.shares memory.max pids.max cpu.weight 2>/dev/null; :'
  "${r[@]}" update -r - box <<<'{"memory": {"limit": 67108864, "kernel": 0}}'
  try update --memory 50331648 --cpu-share 256 --pids-limit 60 --cpu-quota 50000 --cpu-period 100000 box
  try exec box sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.shares cpu/cpu.cfs_quota_us memory.max pids.max 2>/dev/null; :'
  try exec box dd if=/dev/zero of=/dev/null count=1 2>/dev/null
  try events --stats box >/dev/null
  jq -r '"\(.type) \(.id) \(.data.cpu.usage.total > 0) \(.data.memory.usage.limit) \(.data.pids.limit) \(.data.pids.current > 0)"' "$dir/out"
  try pause box
  try state box >/dev/null
  jq -r .status "$dir/out"
  try exec box true
  try resume box
  try resume box
  try kill box TERM
  eventually 5 sh -c "${r[*]} state box | grep stopped" >/dev/null
  try state box >/dev/null
  jq -r '"\(.status) \(.pid)"' "$dir/out"
  try kill box KILL
  try kill -a box KILL
  try exec box true | grep exec # runc's message differs
  try start box
  try delete box
  try delete box
  try delete -f box
  try list -q
}

@test "a container's life gives the same results as with runc" {
  local want
  want=$(life runc)
  same "$want" "$(life md-spawn)"
}

@test "containers that cannot start fail as with runc, and leave nothing" {
  local how runtime
  for how in 'nothing' '/etc' '/no/where'; do
    for runtime in runc md-spawn; do
      bundle "$runtime" "$how"
      try create -b "$b" box >"$dir/of-$runtime"
      try list -q >>"$dir/of-$runtime"
      jq -r .level "$dir/$runtime.log" | sort -u >>"$dir/of-$runtime"
    done
    diff "$dir/of-runc" "$dir/of-md-spawn"
  done
}

@test "run, attached and detached, passes on exit codes, streams, signals and descriptors as runc does" {
  local runtime
  both() {
    bundle "$1" sh -c 'cat; echo err >&2; exit 7'
    echo 'in' | "${r[@]}" run -b "$b" box 2>"$dir/err" || echo "$?"
    cat "$dir/err"
    bundle "$1" sh -c 'kill -9 $$'
    try run -b "$b" box
    bundle "$1" sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    "${r[@]}" run -b "$b" box </dev/null >"$dir/out" 3>&- &
    eventually 5 grep -q ready "$dir/out"
    kill $!
    wait $! || echo "$?"
    bundle "$1" sh -c 'cat <&3; readlink /proc/self/fd/4 || echo none'
    echo three >"$dir/three"
    "${r[@]}" run --preserve-fds 1 -b "$b" box 3<"$dir/three" 4<"$dir/three"
    # As systemd starts a socket-activated service (sd_listen_fds(3)).
    bundle "$1" sh -c 'cat <&3; echo $LISTEN_FDS $LISTEN_PID'
    (LISTEN_FDS=1 LISTEN_PID=$BASHPID exec "${r[@]}" run -b "$b" box 3<"$dir/three")
    bundle "$1" sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
    "${r[@]}" run -d -b "$b" box </dev/null >/dev/null 2>&1 3>&-
    try delete -f box
    try list -q
  }
  both runc >"$dir/of-runc"
  both md-spawn >"$dir/of-md-spawn"
  diff "$dir/of-runc" "$dir/of-md-spawn"
}

@test "features lists those of runc, and more" {
  runc features >"$dir/runc"
  md-spawn features >"$dir/ours"
  local path
  for path in .hooks .linux.namespaces .linux.seccomp.operators; do
    same '[]' "$(jq -n -c "[inputs | $path] | .[0] - .[1]" "$dir/runc" "$dir/ours")"
  done
  same 'true true true' "$(jq -r '.linux | "\(.seccomp.enabled) \(.apparmor.enabled) \(.mountExtensions.idmap.enabled)"' "$dir/ours")"
}
