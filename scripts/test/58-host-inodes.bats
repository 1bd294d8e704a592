#!/usr/bin/env bats
# Host objects that a container must not get: inodes of /dev, nodes in bound directories, command lines of
# md-spawn, unmapped ids; also endless files and very deep trees.
load lib

setup_file() {
  # The ring shows the real /dev: a container's change would affect the host.
  export dev=$BATS_FILE_TMPDIR/dev
  mkdir "$dev"
  mount -t tmpfs none "$dev"
  mount --make-private "$dev"
  local node name major minor
  for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r name major minor <<<"$node"
    mknod -m 666 "$dev/$name" c "$major" "$minor"
  done
  mkdir "$dev"/{pts,shm,mqueue,net}
  mount -t devpts -o newinstance,ptmxmode=0666 none "$dev/pts"
  ln -s pts/ptmx "$dev/ptmx"
  ln -s /proc/self/fd "$dev/fd"
  mount --rbind "$dev" /dev
  warm_up busybox
  mydocker run --rm --net none --userns auto busybox true # creates the list of user ids, which stays
  export box=$BATS_FILE_TMPDIR/box
  mkdir -p "$box/rootfs"/{bin,dev,proc,sys,tmp}
  cp "$(command -v busybox)" "$box/rootfs/bin/busybox"
  local applet
  for applet in cat chmod chown id ls mkfifo mount rm sh sleep stat touch true wc; do ln -s busybox "$box/rootfs/bin/$applet"; done
  (cd "$box" && md-spawn spec)
}
teardown_file() {
  umount -R /dev
  umount -R "$dev"
}
setup() {
  mkdir -p /run/mydocker/bundles
  setup_leakcheck
  dir=$BATS_TEST_TMPDIR
  bundle=$dir/bundle
  mkdir "$bundle"
  before=$(nodes)
}
teardown() {
  md-spawn delete --force bundle 2>/dev/null || true
  chmod 666 "$dev"/{null,zero} # undo the changes of a failed test
  teardown_leakcheck
}

# nodes prints inode, mode, owner and times of the host's devices.
nodes() { stat -c '%n %i %a %u:%g %X %Y %Z' "$dev"/{null,zero,full,random,urandom}; }
# inodes prints device and inode numbers of the host's devices.
inodes() { stat -c '%d:%i' "$dev"/{null,zero}; }
# document FILTER writes the bundle's document, edited by jq.
document() {
  jq --arg root "$box/rootfs" ".root = {path: \$root} | .process.terminal = false | .process.env = [\"PATH=/bin\"] | $1" \
    "$box/config.json" >"$bundle/config.json"
}
words() { jq -n --arg text "$1" '["sh", "-c", $text]'; }

masked='/proc/keys /proc/interrupts /proc/timer_list /proc/latency_stats /proc/sched_debug /proc/kcore /proc/acpi /proc/scsi /sys/firmware'
change="for f in $masked; do chown 1000:1000 \$f; chmod 0 \$f; touch -d 2001-01-01 \$f; done 2>/dev/null; stat -c %d:%i $masked 2>/dev/null; cat /proc/keys; true"

@test "a masked path does not use an inode of the host" {
  local options
  for options in '' '--read-only' '--userns auto' '--cap-add SYS_ADMIN' '-v /dev:/dev' '-v /dev/null:/dev/null'; do
    # shellcheck disable=SC2086 # they are words
    does mydocker run --rm --net none $options busybox sh -c "$change"
    like '[0-9]:[0-9]' "$output"
    unlike "$(inodes | paste -sd'|')" "$output"
    same "$before" "$(nodes)"
  done
  # With CAP_SYS_ADMIN a mask can be made writable; it is still the container's own inode.
  does mydocker run --rm --net none --cap-add SYS_ADMIN busybox sh -c 'mount -o remount,bind,rw /proc/keys && chmod 0 /proc/keys && stat -c %a /proc/keys'
  same 0 "$output"
  same "$before" "$(nodes)"
}

@test "a masked path of a bundle does not use an inode of the host either" {
  local mounts
  for mounts in '.' '.mounts |= map(select(.destination | startswith("/dev") | not))' '.mounts += [{destination: "/dev/null", type: "bind", source: "/dev/null", options: ["bind"]}]' \
    '.linux.namespaces |= map(select(.type != "mount"))'; do
    document "$mounts | .process.args = $(words "$change")"
    does md-spawn run --bundle "$bundle" bundle
    like '[0-9]:[0-9]' "$output"
    [[ $mounts == *'"/dev/null"'* ]] || unlike "$(inodes | paste -sd'|')" "$output"
    same "$before" "$(nodes)"
    find "$box/rootfs/dev" -mindepth 1 -delete
  done
}

@test "a missing stream, or one that is a device of the host, becomes the container's own device" {
  local change='for fd in 0 1 2; do [ -c /proc/self/fd/$fd ] && stat -Lc %d:%i /proc/self/fd/$fd >>/tmp/seen; chmod 0 /proc/self/fd/$fd; touch -d 2001-01-01 /proc/self/fd/$fd; done 2>/tmp/errors; cat /tmp/seen; true'
  does mydocker run --rm --net none busybox sh -c "$change"
  like ':' "$output"
  unlike "$(inodes | paste -sd'|')" "$output"
  mydocker run -d --name box --net none busybox sleep 100 >/dev/null
  does mydocker exec box sh -c "$change"
  does mydocker exec -d box sh -c "$change"
  eventually 10 mydocker exec box sh -c '[ $(wc -l </tmp/seen) = 3 ]'
  unlike "$(inodes | paste -sd'|')" "$(mydocker exec box cat /tmp/seen)"
  # The host's device is also not used if the container's /dev lacks it or has something else there.
  local other
  for other in 'rm /dev/null' 'rm -f /dev/null; ln -s zero /dev/null' 'rm -f /dev/null; mkfifo /dev/null' 'rm -f /dev/null; echo text >/dev/null'; do
    mydocker exec box sh -c "$other; rm -f /tmp/seen"
    does timeout 20 mydocker exec box sh -c "stat -Lc %t:%T /proc/self/fd/0; cat /dev/stdin; $change"
    like '^1:3' "$output"
    unlike "$(inodes | paste -sd'|')" "$output"
  done
  mydocker rm -f box >/dev/null
  same "$before" "$(nodes)"
  # The caller's other streams are passed on.
  document ".process.args = $(words "$change")"
  does md-spawn run --bundle "$bundle" bundle </dev/null
  unlike "$(inodes | paste -sd'|')" "$output"
  : >"$box/rootfs/tmp/seen"
  does md-spawn run --bundle "$bundle" bundle </dev/zero 2>/dev/null
  unlike "$(inodes | paste -sd'|')" "$output"
  document '.process.args = ["sleep", "100"]'
  md-spawn create --bundle "$bundle" bundle </dev/null >/dev/null 2>&1
  md-spawn start bundle
  does md-spawn exec bundle sh -c "$change" </dev/null
  unlike "$(inodes | paste -sd'|')" "$output"
  md-spawn delete --force bundle
  rm "$box"/rootfs/tmp/{seen,errors}
  same "$before" "$(nodes)"
}

@test "no device node is created in a host directory that is bound at /dev" {
  local host=$dir/dev destination
  mkdir "$host"
  mknod -m 666 "$host/null" c 1 3
  for destination in /dev /dev/ /./dev//; do
    document ".mounts |= map(select(.destination | startswith(\"/dev\") | not)) + [{destination: \"$destination\", type: \"bind\", source: \"$host\", options: [\"rbind\"]}]
      | .linux.devices = [{path: \"/dev/fuse\", type: \"c\", major: 10, minor: 229}, {path: \"/dev/net/tun\", type: \"c\", major: 10, minor: 200}]
      | .process.args = [\"true\"]"
    does md-spawn run --bundle "$bundle" bundle
    same null "$(ls -A "$host")"
  done
  # By mydocker, with a terminal, which is bound at /dev/console; and read-only.
  does mydocker run --rm --net none -v "$host:/dev" --device /dev/zero busybox true
  same null "$(ls -A "$host")"
  local there
  there=$(ls -A "$dev")
  script -qec "mydocker run --rm --net none -t -v /dev:/dev busybox true" /dev/null </dev/null
  same "$there" "$(ls -A "$dev")"
  does mydocker run --rm --net none -v "$host:/dev:ro" busybox true
  # Deeper: a host directory below a /dev of the container's own.
  mkdir "$dir/net"
  document ".mounts += [{destination: \"/dev/net\", type: \"bind\", source: \"$dir/net\", options: [\"bind\"]}]
    | .linux.devices = [{path: \"/dev/net/tun\", type: \"c\", major: 10, minor: 200}, {path: \"/dev/fuse\", type: \"c\", major: 10, minor: 229}]
    | .process.args = [\"ls\", \"/dev\"]"
  does md-spawn run --bundle "$bundle" bundle
  like fuse "$output"
  like zero "$output"
  same '' "$(ls -A "$dir/net")"
}

@test "a container cannot read the command line of the tools" {
  local id probe=$PWD/build/tools/probe
  id=$(mydocker run -d --net none -u 1000 -v "$probe:/probe:ro" busybox /probe words)
  eventually 20 mydocker logs "$id"
  for _ in {1..40}; do
    mydocker exec -u 0 -e PASSWORD=secret "$id" true
  done
  mydocker exec -d -e PASSWORD=secret "$id" true
  same watching "$(mydocker logs "$id")"
  mydocker rm -f "$id" >/dev/null
  cp "$probe" "$box/rootfs"
  document '.process.args = ["/probe", "words"] | .process.user = {uid: 1000, gid: 1000}'
  md-spawn run --detach --bundle "$bundle" bundle </dev/null >"$dir/out" 2>&1
  eventually 20 grep -q watching "$dir/out"
  for _ in {1..40}; do
    md-spawn exec --user 0 -e PASSWORD=secret bundle true
  done
  # Another container in the same pid namespace, whose bundle has such a name.
  mkdir "$dir/PASSWORD=secret"
  jq ".process.args = [\"true\"] | .linux.namespaces |= map(if .type == \"pid\" then .path = \"/proc/$(md-spawn state bundle | jq .pid)/ns/pid\" else . end)" \
    "$bundle/config.json" >"$dir/PASSWORD=secret/config.json"
  for _ in {1..10}; do
    does md-spawn run --bundle "$dir/PASSWORD=secret" beside
  done
  same watching "$(cat "$dir/out")"
  md-spawn delete --force bundle
  rm "$box/rootfs/probe"
}

@test "an unmapped id does not become root" {
  local part none=4294967295
  for part in ".process.user.uid = $none" ".process.user.gid = $none" ".process.user.additionalGids = [$none]" '.process.user.uid = 4294967296' \
    ".linux.namespaces += [{type: \"user\"}] | .linux.uidMappings = [{containerID: 0, hostID: $none, size: 1}] | .linux.gidMappings = [{containerID: 0, hostID: 1, size: 1}]"; do
    document "$part | .process.args = [\"id\"]"
    refuses 125 'uid|gid|Gid' md-spawn run --bundle "$bundle" bundle
  done
  document '.process.args = ["sleep", "100"]'
  md-spawn create --bundle "$bundle" bundle </dev/null >/dev/null 2>&1
  md-spawn start bundle
  for part in ".user.uid = $none" ".user.gid = $none" ".user.additionalGids = [$none]"; do
    jq ".process | .args = [\"id\"] | $part" "$bundle/config.json" >"$dir/process.json"
    run md-spawn exec --process "$dir/process.json" bundle
    [[ $status != 0 ]] || fail "$part: $output"
    unlike 'uid=' "$output"
  done
  for part in "$none" "1:$none" 4294967296; do
    run md-spawn exec --user "$part" bundle id
    [[ $status != 0 ]] || fail "$part: $output"
    run mydocker run --rm --net none --user "$part" busybox id
    [[ $status == 125 ]] || fail "$part: $output"
  done
  run md-spawn exec --additional-gids "$none" bundle id
  [[ $status != 0 ]] || fail "$output"
  md-spawn delete --force bundle
}

@test "an endless file is not read to its end" {
  mkfifo "$dir/fifo"
  ln -s "$dir/fifo" "$bundle/config.json"
  local file
  for file in "$dir/fifo" /dev/zero /dev/tty; do
    refuses 125 'FIFO|device|/dev/tty' timeout 20 mydocker run --rm --net none --env-file "$file" busybox true
    refuses 125 'FIFO|device|/dev/tty' timeout 20 mydocker run --rm --net none --security-opt "seccomp=$file" busybox true
    refuses 125 'FIFO|device|/dev/tty' timeout 20 md-spawn run --spec "$file" </dev/null
    CONTAINERS_REGISTRIES_CONF=$file refuses 1 'FIFO|device|/dev/tty' timeout 20 md-pull 127.0.0.1:1/nothing
  done
  refuses 125 'FIFO' timeout 20 md-spawn run --bundle "$bundle" bundle
  # On a pipe the size is not known in advance.
  run -125 bash -c "ulimit -v 4000000; yes '[' | tr -d '\n' | timeout 20 md-spawn run"
  run -125 bash -c "ulimit -v 4000000; tr '\0' ' ' </dev/zero | timeout 20 md-spawn run"
  like 'longer than 16 MiB' "$output"
  head -c 2000000 /dev/zero | tr '\0' '\n' >"$dir/long"
  refuses 125 'longer than 1048576 bytes' mydocker run --rm --net none --env-file "$dir/long" busybox true
  { echo A=1 && printf 'B=' && head -c 140000 /dev/zero | tr '\0' b; } >"$dir/wide"
  refuses 125 'line 2: longer than' mydocker run --rm --net none --env-file "$dir/wide" busybox true
  # Pipes of a shell and empty files are accepted.
  same yes "$(mydocker run --rm --net none --env-file <(echo ANSWER=yes) --env-file /dev/null busybox sh -c 'echo $ANSWER')"
}

@test "very deep trees are compared, copied and removed with few descriptors" {
  # A path longer than PATH_MAX, deeper than the descriptor limit.
  # shellcheck disable=SC2016 # for the shell inside
  local deepen='i=0; while [ $i -lt 600 ]; do mkdir directory && cd -P directory && : >file || exit 1; i=$((i+1)); done'
  mydocker run --name box --net none -v deep:/deep busybox sh -c "cd /deep && $deepen && cd /root && $deepen"
  (
    ulimit -n 64
    same 1201 "$(mydocker diff box | grep -c '^A')"
    does mydocker rm box
    does mydocker volume rm deep
  )
  [[ ! -e /var/lib/mydocker/volumes/deep ]]
}

@test "terminal escapes in labels are shown escaped on a terminal, and unchanged to programs" {
  local evil=$'\e]0;title\a\xc2\x9b31m\x7f'
  mydocker create --name box --net none --label "evil=$evil" busybox true >/dev/null
  on_terminal() { script -qec "$1" /dev/null </dev/null | tr -d '\r\n'; }
  local command
  for command in "mydocker ps -a --format '{{.Labels.evil}}'" 'mydocker ps -a --format json' "mydocker inspect -f '{{.Labels.evil}}' box" 'mydocker inspect box 2>/dev/null' \
    "md-ps -a --format '{{.Labels.evil}}'"; do
    like '\\u001b]0;title\\u0007\\u009b31m\\u007f' "$(on_terminal "$command")"
    unlike $'\e|\a|\x7f|\xc2\x9b' "$(on_terminal "$command")"
  done
  same "$evil" "$(mydocker ps -a --format '{{.Labels.evil}}')"
  same "$evil" "$(mydocker inspect -f '{{.Labels.evil}}' box)"
  mydocker rm box >/dev/null
}
