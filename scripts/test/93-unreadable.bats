#!/usr/bin/env bats
# Records may be torn by a power loss, a full disk or an editor. An unreadable record is not a missing one: a running
# program is shown, ended and cleaned up, whichever record is damaged, and other containers are not affected.
# shellcheck disable=SC2086 # verbs with their options are split on purpose
load lib

root=/var/lib/mydocker run=/run/mydocker
ways='empty half zeros shape type dir gone'
setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() {
  local id
  for id in "$root"/containers/*; do # ps does not list containers without a document
    [[ ! -e $id ]] || mydocker rm -f -v "${id##*/}" >/dev/null 2>&1 || true
  done
  mydocker system prune >/dev/null 2>&1 || true
  teardown_leakcheck
}

# damage FILE WAY
damage() {
  local size
  size=$(stat -c %s "$1")
  case $2 in
    empty) : >"$1" ;;
    half) truncate -s $((size / 2)) "$1" ;;
    zeros) truncate -s 0 "$1" && truncate -s "$size" "$1" ;;
    shape) echo '{}' >"$1" ;;
    type) echo '["x", 1]' >"$1" ;;
    dir) rm "$1" && mkdir "$1" && touch "$1/in" ;;
    gone) rm "$1" ;;
  esac
}

# file_of ID NAME
file_of() { if [[ $2 == state.json ]]; then echo "$run/$1/$2"; else echo "$root/containers/$1/$2"; fi; }

# ended ID SECONDS-OF-SLEEP: no process, namespace, cgroup, rule or mount of the container exists.
ended() {
  ! pgrep -f "^sleep $2\$" >/dev/null || fail 'its program runs'
  [[ ! -e $run/netns/$1 ]] || fail 'its network namespace is there'
  [[ -z $(find /sys/fs/cgroup -type d -name "$1") ]] || fail 'its control group is there'
  ! iptables-save | grep -F "$1" || fail 'its rules are there'
  ! grep -F "$root/containers/$1" /proc/self/mountinfo || fail 'its root is mounted'
}

# each_way VERB FILE...: damages a running container in each way; another container is still shown, and the verb
# ends the damaged one.
each_way() {
  local verb=$1 file way id n=4000
  shift
  mydocker run -d --name other --network none busybox sleep 1000 >/dev/null
  for file; do
    for way in $ways; do
      n=$((n + 1))
      id=$(mydocker run -d --name box -p 8080:80 -v /anonymous busybox sleep $n)
      damage "$(file_of "$id" "$file")" "$way"
      mydocker ps --format '{{.Name}} {{.Status}}' 2>/dev/null | grep -qx 'other running' || fail "$file $way: the other is not seen"
      mydocker $verb box >/dev/null 2>"$BATS_TEST_TMPDIR/said" || fail "$file $way: $verb" "$(cat "$BATS_TEST_TMPDIR/said")"
      [[ $verb != kill ]] || eventually 5 ended "$id" $n
      [[ $verb == rm* ]] || { ended "$id" $n || fail "$file $way: $verb"; }
      # A container without spawn.json is removed when it exits.
      [[ $verb == rm* || $file$way == spawn.jsongone ]] || mydocker rm -v box >/dev/null || fail "$file $way: rm after $verb"
      ended "$id" $n || fail "$file $way: $verb"
      [[ ! -e $root/containers/$id && ! -e $run/$id ]] || fail "$file $way: it is left" "$(ls "$root/containers/$id" "$run/$id")"
      ! grep -rl "$id" $root/networks/*/leases $root/names || fail "$file $way: its claims are left"
      same '' "$(mydocker system check)"
    done
  done
  mydocker rm -f other >/dev/null
}

@test "rm -f removes a container with a torn state.json or config.json" { each_way 'rm -f -v' state.json config.json; }
@test "rm -f removes a container with torn records of spawn, network, root and output" {
  ways='empty half shape type dir gone' each_way 'rm -f -v' spawn.json net.json rootfs.json log
}
@test "stop ends a container with torn records" { ways='empty half shape dir gone' each_way 'stop -t 0' state.json config.json spawn.json net.json; }
@test "kill ends a container with torn records" { ways='half type gone' each_way kill state.json config.json net.json rootfs.json; }

@test "a container whose document has another version is addressed by its id" {
  local id f
  id=$(mydocker run -d --name box --network none busybox sleep 4711)
  f=$root/containers/$id/config.json
  jq -c '.ociVersion = "9.0.0"' "$f" >"$f.new" && mv "$f.new" "$f"
  refuses 1 'ociVersion' mydocker inspect box
  run --separate-stderr mydocker stop -t 0 box
  same "$id" "$output"
  like 'warning: .*ociVersion.*known by its id' "$stderr"
  ended "$id" 4711
  does mydocker rm box
}

@test "exec, logs, stop and the exit code work with a torn state.json" {
  local id way
  for way in empty half gone; do
    id=$(mydocker run -d --name box --network none busybox sh -c 'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done')
    eventually 5 eval 'mydocker logs box | grep -q ready'
    damage "$run/$id/state.json" $way
    same 'box running' "$(mydocker ps --format '{{.Name}} {{.Status}}')"
    same in "$(mydocker exec box echo in)"
    refuses 1 'container is running: stop it first' mydocker rm box
    does mydocker start box # it is running
    refuses 125 'name box is taken' mydocker run --name box --network none busybox true
    mydocker run --rm --network none busybox true # sweeps
    mydocker run --rm --network none busybox true
    does mydocker stop box
    same 7 "$(md-ps -f name=box --format '{{.ExitCode}}')"
    same ready "$(mydocker logs box)"
    does mydocker rm box
  done
}

# Without monitor and state.json, the cgroup is the only evidence.
@test "a program that outlives its monitor, with a torn state.json, is shown and ended" {
  local id monitor
  # A program that changes its user clears its parent-death signal.
  id=$(mydocker run -d --name box busybox sh -c 'exec su -s /bin/sh nobody -c "exec sleep 4712"')
  eventually 5 pgrep -f '^sleep 4712'
  monitor=$(jq .monitor.pid "$run/$id/state.json")
  kill -KILL "$monitor"
  eventually 5 eval "[[ ! -e /proc/$monitor ]]"
  pgrep -f '^sleep 4712' >/dev/null || skip 'the program went with its monitor: nothing outlives it'
  : >"$run/$id/state.json"
  same 'box running' "$(mydocker ps --format '{{.Name}} {{.Status}}')"
  mydocker system prune >/dev/null 2>&1 || true
  refuses 1 'container is running' mydocker rm box
  same 'box running' "$(mydocker ps --format '{{.Name}} {{.Status}}')"
  does mydocker rm -f box
  ended "$id" 4712
}

@test "system check lists torn records, and --fix and prune handle all others" {
  local ids=() id file paths=()
  for file in config.json rootfs.json net.json spawn.json state.json; do
    id=$(mydocker run -d --name "box-${file%.json}" busybox sleep 1000)
    ids+=("$id") paths+=("$(file_of "$id" $file)")
    : >"${paths[-1]}"
  done
  mydocker network create -s 10.77.0.0/24 torn >/dev/null
  cp $root/networks/torn/network.json "$BATS_TEST_TMPDIR/network.json"
  mydocker run -d --name on-torn --network torn busybox sleep 1000 >/dev/null
  : >$root/networks/torn/network.json
  echo 0123456789ab >$root/names/planted # of a missing container
  run --separate-stderr mydocker system check
  same 1 "$status"
  for file in "${paths[@]}"; do like "file $file: it cannot be read" "$output"; done
  like 'network.*torn' "$stderr"
  like 'name .*planted' "$output"
  run --separate-stderr mydocker system check --fix
  same 1 "$status"
  [[ ! -e $root/names/planted ]] || fail 'the others were not cleaned' "$output" "$stderr"
  like 'rm -f' "$stderr"
  jq -e .init.pid "${paths[4]}" >/dev/null || fail 'the note of what runs was not written anew'
  echo 0123456789ab >$root/names/planted
  run --separate-stderr mydocker system prune
  same 1 "$status"
  [[ ! -e $root/names/planted ]] || fail 'prune did not go on' "$output" "$stderr"
  same 6 "$(pgrep -fc '^sleep 1000$')"
  ip link show "$(jq -r '.link // "torn"' "$BATS_TEST_TMPDIR/network.json")" >/dev/null || fail 'the bridge of a torn network was taken away'
  cp "$BATS_TEST_TMPDIR/network.json" $root/networks/torn/network.json
  mydocker rm -f "${ids[@]}" on-torn >/dev/null 2>&1
  does mydocker rmn torn
  same '' "$(mydocker system check)"
}

@test "a torn name, lease or port file belongs to the container that uses it" {
  local id address
  id=$(mydocker run -d --name first busybox sleep 1000)
  address=$(jq -r '.endpoints[0].address' "$root/containers/$id/net.json")
  : >"$root/names/first"
  : >"$root/networks/mydocker0/leases/${address%/*}"
  mydocker system check --fix >/dev/null 2>&1 || true
  refuses 125 'name first is taken' mydocker run -d --name first busybox sleep 1000
  mydocker network create -s 10.78.0.0/24 beside >/dev/null
  mydocker run -d --name third --network beside busybox sleep 1000 >/dev/null
  refuses 1 'taken by container first' mydocker network connect --ip "${address%/*}" mydocker0 third
  mydocker rm -f third >/dev/null
  does mydocker rmn beside
  same "$id" "$(mydocker stop -t 0 first)"
  does mydocker start first
  does mydocker rm -f first
  [[ ! -e $root/names/first && ! -e $root/networks/mydocker0/leases/${address%/*} ]] || fail 'its claims are left'
}


@test "a bundle's container with torn state is shown, killed and deleted" {
  local dir=$BATS_TEST_TMPDIR/bundle id=$BATS_TEST_NUMBER-torn way image
  image=$(md-rootfs mount --name image busybox true | jq -r .root.path)
  mkdir -p "$dir"
  jq -n --arg root "$image" '{ociVersion: "1.0.2", root: {path: $root}, process: {cwd: "/", user: {uid: 0, gid: 0}, args: ["/bin/sleep", "4713"], env: ["PATH=/bin"]},
    mounts: [{destination: "/proc", type: "proc", source: "proc"}],
    linux: {namespaces: [{type: "pid"}, {type: "mount"}, {type: "ipc"}, {type: "uts"}]}}' >"$dir/config.json"
  for way in empty half zeros shape type dir; do
    md-spawn create --bundle "$dir" "$id" </dev/null >/dev/null 2>&1
    md-spawn start "$id"
    eventually 5 pgrep -f 'sleep 4713$'
    damage "$run/bundles/$id/bundle.json" $way
    same running "$(md-spawn state "$id" | jq -r .status)"
    like "$id" "$(md-spawn list -q)"
    run md-spawn delete "$id"
    [[ $status != 0 ]] || fail "$way: deleted while it runs"
    if [[ $way == half ]]; then
      md-spawn kill "$id" KILL
      eventually 5 eval '! pgrep -f "sleep 4713$"'
      same stopped "$(md-spawn state "$id" | jq -r .status)"
    fi
    does md-spawn delete --force "$id"
    ! pgrep -f 'sleep 4713$' || fail "$way: it runs"
    [[ ! -e $run/bundles/$id && -z $(find /sys/fs/cgroup -type d -name "$id") ]] || fail "$way: it is left"
  done
  rmdir "$run/bundles"
  does mydocker rm image
}
