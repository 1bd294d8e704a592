#!/usr/bin/env bats
# Commands leave nothing when they end; if they are killed, the next command, whichever it is, cleans up.
# What stages have prepared for a document that was never run is listed and can be removed.
load lib

root=/var/lib/mydocker run=/run/mydocker
faults=$BATS_TEST_DIRNAME/../../build/tools/faults
setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() {
  mydocker volume prune -a >/dev/null
  teardown_leakcheck
}

id_of() { mydocker ps -q -f "name=$1"; }
status_of() { md-ps -f "name=$1" --format '{{.Status}}'; }

# aged DURATION PATH... sets an older modification time.
aged() { touch -d "-$1" "${@:2}"; }

lasting='attended firewall hosts images network settled swept'
no_locks() { same "$lasting" "$(find $run/locks -type f -printf '%f\n' | sort | xargs)"; }

@test "commands leave no lock file" {
  local i
  no_locks
  for i in {1..3}; do
    mydocker volume create "v$i" >/dev/null
    mydocker volume rm "v$i" >/dev/null
    mydocker network create "n$i" >/dev/null
    mydocker network rm "n$i" >/dev/null
  done
  mydocker network create blue >/dev/null
  mydocker run -d --name web -v named:/d -v /anonymous --restart always busybox sleep 1000 >/dev/null
  mydocker network connect blue web
  mydocker network disconnect blue web
  mydocker update --pids-max 20 web >/dev/null
  mydocker stop -t 0 web >/dev/null
  mydocker rm web >/dev/null
  mydocker volume prune -a >/dev/null
  mydocker network rm blue >/dev/null
  mydocker tag busybox other:1
  mydocker save -o "$BATS_TEST_TMPDIR/saved.tar" other:1
  mydocker rmi other:1 >/dev/null
  mydocker load <"$BATS_TEST_TMPDIR/saved.tar" >/dev/null 2>&1
  mydocker rmi other:1 >/dev/null
  md-net attach --id 0123456789ab --pid $$ 2>/dev/null || true # refused: the host's own namespace
  md-cgroup create --pids-max 10 0123456789ab
  md-cgroup delete 0123456789ab
  md-cgroup run --pids-max 10 true
  md-rootfs mount busybox true | jq -r '.annotations["mydocker.id"]' >"$BATS_TEST_TMPDIR/id"
  md-rootfs umount "$(cat "$BATS_TEST_TMPDIR/id")"
  no_locks
}

@test "twenty processes that create, fill and remove one volume take turns and leave no lock" {
  local i
  for i in {1..20}; do
    case $((i % 3)) in
      0) mydocker run --rm --network none -v one:/etc busybox test -e /etc/hostname >/dev/null 2>&1 3>&- & ;;
      1) mydocker volume create one >/dev/null 2>&1 3>&- & ;;
      2) mydocker volume rm one >/dev/null 2>&1 3>&- & ;; # may be in use or missing
    esac
  done
  wait
  mydocker volume rm one >/dev/null 2>&1 || true
  same '' "$(find $run/locks -name 'volume-*')"
  same '' "$(mydocker system check)"
}

# plant creates what killed commands leave: their lock files, and unfinished objects.
plant() {
  local id=$1
  mkdir -p $root/networks/half/leases $root/volumes/half/data $root/volumes/.tmp-gone/data $run/pulls "$BATS_TEST_TMPDIR/away"
  touch $root/networks/half/.tmp-1 $root/volumes/half/.tmp-2 $root/volumes/.tmp-gone/data/file $root/images/.tmp-3
  echo '{"process": {"pid": 1, "start": 1, "boot": "x"}, "blobs": [], "chains": []}' >$run/pulls/0123456789ab.json
  touch "$root/containers/$id/.tmp-4" "$root/containers/$id/.tmp-net.json" "$BATS_TEST_TMPDIR/away/.tmp-fedcba987654"
  mkdir -p "$(cgroups)/mydocker/0123456789ab"
  touch $run/locks/{network-half,volume-half,volume-gone,index,pull-0123456789ab,group-0123456789ab,"$id","net-$id",anything}
  echo -n "$BATS_TEST_TMPDIR/away/saved.tar" >$run/locks/export-fedcba987654
}

@test "run, start, stop, kill and rm each clean up after killed commands, and remove nothing else" {
  local next before="$BATS_TEST_TMPDIR/before" id
  mydocker create --name beside busybox true >/dev/null
  mydocker volume create whole >/dev/null
  echo data >$root/volumes/whole/data/file
  id=$(id_of beside)
  mkdir "$BATS_TEST_TMPDIR/away"
  for next in 'run --rm --network none busybox true' 'start first' 'stop -t 0 first' 'kill first' 'rm -f first'; do
    mydocker ps -q -f name=first | grep -q . || mydocker create --name first --network none busybox sleep 1000 >/dev/null
    [[ $next != kill* ]] || mydocker start first >/dev/null
    "$leakcheck" snapshot "$before"
    plant "$id"
    touch $run/locks/volume-whole # the volume is complete
    # shellcheck disable=SC2086 # words
    does mydocker $next
    sleep 0.3 # cleanup of a killed program
    "$leakcheck" compare "$before" "^. (files ($root/containers/|$run/)?[^ ]*/$(id_of first || true)|files $run/netns|processes|netns|cgroups .*mydocker(/$(id_of first || true))?$|mounts|.* first$)" |
      grep -E 'half|gone|tmp-|pulls|locks|0123456789ab|names/\.' && fail "after $next"
    [[ ! -e $BATS_TEST_TMPDIR/away/.tmp-fedcba987654 ]] || fail "$next leaves what save was writing"
    same data "$(cat $root/volumes/whole/data/file)"
  done
  mydocker rm beside >/dev/null
}

@test "system check lists locks of killed commands, --fix settles them, and a held lock stays" {
  local id
  mydocker create --name beside busybox true >/dev/null
  id=$(id_of beside)
  plant "$id"
  exec 8>$run/locks/volume-busy
  flock 8
  run -1 mydocker system check
  like "lock $run/locks/volume-half: its holder was killed" "$output"
  unlike 'volume-busy' "$output"
  does mydocker system check --fix
  does mydocker system check
  same '' "$output"
  [[ ! -e $root/volumes/half && ! -e $root/networks/half && -e $run/locks/volume-busy ]]
  exec 8>&-
  does mydocker rm beside
}

@test "each next command cleans up after a command that was killed halfway" {
  local next n
  mydocker create --name beside --network none busybox sleep 1000 >/dev/null
  mydocker network create green >/dev/null
  for next in 'stop beside' 'start beside' 'kill beside' 'run --rm --network none busybox true' 'stop -t 0 beside'; do
    for n in 4 7; do
      "$faults" killall $n mydocker network create blue >/dev/null || [[ $? == 137 ]]
      "$faults" killall $n mydocker volume create blue >/dev/null || [[ $? == 137 ]]
      "$faults" killall $n mydocker network connect green beside >/dev/null || [[ $? == 137 ]]
      # shellcheck disable=SC2086
      mydocker $next >/dev/null 2>&1 || [[ $next == kill* ]]
      same '' "$(find $root/networks $root/volumes -mindepth 1 -maxdepth 1 ! -name mydocker0 ! -name green ! -name blue)"
      [[ ! -e $root/networks/blue || -e $root/networks/blue/network.json ]] || fail "half a network after $next"
      [[ ! -e $root/volumes/blue || -e $root/volumes/blue/volume.json ]] || fail "half a volume after $next"
      eventually 5 no_locks # cleanup of a container that exited
      mydocker network rm blue >/dev/null 2>&1 || true
      mydocker volume rm blue >/dev/null 2>&1 || true
      mydocker network disconnect -f green beside
      same '' "$(ls $root/networks/green/leases 2>/dev/null)"
    done
  done
  does mydocker rm -f beside
  does mydocker network rm green
}

@test "a prepared document that was not run is listed by ps, and removed by rm" {
  local id doc="$BATS_TEST_TMPDIR/doc"
  md-rootfs mount --name lost -v /anonymous busybox true | md-cgroup create --memory-limit 64m | md-net attach -p 8080:80 | jq .linux >/dev/null
  id=$(id_of lost)
  like "$id_form" "$id"
  same prepared "$(status_of lost)"
  same "$id" "$(mydocker ps -q -f status=prepared)"
  same 'busybox:latest 0 overlay2' "$(md-ps -f name=lost --format '{{.Image}} {{.PID}} {{.Driver}}')"
  like '^10\.20\.30\.' "$(md-ps -f name=lost --format '{{index .IPs 0}}')"
  same '' "$(mydocker system check)" # it is still new
  does mydocker stop lost # it is not running
  refuses 1 'container is only prepared: run its document' mydocker start lost
  does mydocker rm lost
  same '' "$(mydocker ps -q)"

  md-rootfs mount --name kept busybox echo here | md-net attach >"$doc"
  same prepared "$(status_of kept)"
  does mydocker system prune
  same here "$(md-spawn run <"$doc")"
  same '' "$(mydocker ps -q)"
}

@test "a root or network that one stage has prepared is listed, and kept while it may be in use" {
  local id
  md-rootfs mount --name root busybox true >/dev/null
  jq -n '{ociVersion: "1.2.0"}' | md-net attach -p 8081:80 >"$BATS_TEST_TMPDIR/net"
  id=$(jq -r '.annotations["mydocker.id"]' "$BATS_TEST_TMPDIR/net")
  same $'prepared\nprepared' "$(md-ps --format '{{.Status}}')"
  like "$id" "$(md-ps -q)"
  aged '2 hours' $root/containers/*/
  run -0 mydocker system check # listed, but not as a fault
  like "container $root/containers/$id: prepared, but its document was not run: mydocker rm $id" "$output"
  same 2 "${#lines[@]}"
  does mydocker system check --fix
  does mydocker system prune
  same 2 "$(mydocker ps -q | wc -l)"
  does md-net detach "$id"
  aged '2 days' $root/containers/*/
  run -1 mydocker system check
  like 'prepared more than a day ago' "$output"
  does mydocker system check --fix
  same '' "$(mydocker ps -q)"
}

@test "a cgroup that was prepared alone is not removed before its document is lost" {
  local id
  jq -n '{ociVersion: "1.2.0"}' | md-cgroup create --pids-max 10 >"$BATS_TEST_TMPDIR/doc"
  id=$(jq -r '.annotations["mydocker.id"]' "$BATS_TEST_TMPDIR/doc")
  does mydocker system check --fix
  same '' "$output"
  does mydocker system prune
  [[ -n $(find "$(cgroups)/mydocker" -name "$id") ]] # later ages: lib/cgroup, TestPreparedGroupBecomesOrphan
  does md-rootfs mount --spec - busybox true <"$BATS_TEST_TMPDIR/doc"
  same prepared "$(md-ps --format '{{.Status}}')"
  does mydocker rm "$id"
  [[ -z $(find "$(cgroups)" -name "$id") ]]
}

@test "a killed umount or detach of a prepared root or network is completed" {
  local n
  ip netns add vm
  for n in 3 9 15; do
    md-rootfs mount --name web -v /anonymous busybox true >/dev/null
    md-net attach --netns vm -p 8082:80 >/dev/null
    "$faults" killall $n md-rootfs umount web || [[ $? == 137 ]]
    "$faults" killall $((n * 2)) md-net detach --netns vm || [[ $? == 137 ]]
    does mydocker run --rm --network none busybox true
    same '' "$(mydocker ps -q)"
    same '' "$(ls $root/containers)"
    same '' "$(ls $root/volumes)"
    same '' "$(ls $root/networks/mydocker0/leases)"
    same '' "$(find $run -name '*-8082-*')"
  done
  ip netns delete vm
  rmdir /run/netns 2>/dev/null || true
}

@test "after a reboot the first command cleans up without the locks" {
  local id
  mydocker create --name beside busybox true >/dev/null
  id=$(id_of beside)
  plant "$id"
  touch $root/names/.tmp-0123456789ab $root/networks/mydocker0/leases/.tmp-0123456789ab
  rm -r $run/locks
  mydocker stop beside >/dev/null # it is not running
  [[ ! -e $root/networks/half && ! -e $root/volumes/half && ! -e $root/volumes/.tmp-gone ]] || fail "$(find $root -maxdepth 2)"
  same '' "$(find $root -name '.tmp-*' -not -path '*/blobs/*' -not -path '*/layers/*')"
  no_locks
  does md-cgroup delete 0123456789ab
  rm $run/pulls/0123456789ab.json
  does mydocker rm beside
}

@test "delete --force removes a bundle whose create, start or delete was killed, and frees its id" {
  local n box=$BATS_TEST_TMPDIR/box
  mkdir -p "$box/rootfs"/{bin,dev,proc,sys} $run/bundles
  cp "$(command -v busybox)" "$box/rootfs/bin/sleep"
  (cd "$box" && md-spawn spec && jq '.process.terminal = false | .process.args = ["sleep", "1000"] | .linux.cgroupsPath = "/mydocker/box"' config.json >c && mv c config.json)
  for n in 1 2 3 4 5 6 40; do
    "$faults" killall "$n" md-spawn create --bundle "$box" box </dev/null >/dev/null 2>&1 || [[ $? == 137 ]]
    does md-spawn delete --force box
    same '' "$(ls -A $run/bundles)"
    md-spawn create --bundle "$box" box </dev/null >/dev/null 2>&1 3>&-
    "$faults" killall "$n" md-spawn delete --force box || [[ $? == 137 ]]
    does md-spawn delete --force box
    same '' "$(ls -A $run/bundles)"
    same '' "$(md-spawn list -q)"
  done
  rmdir $run/bundles
}
