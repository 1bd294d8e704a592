#!/usr/bin/env bats
# Whether a container runs must not depend on the caller's namespaces: pids differ by pid namespace, start times
# by time namespace, and /proc may be another's, hidden or missing. A running container is never taken for dead.
# A stopped monitor does not keep its container from being ended.
# shellcheck disable=SC2086 # verbs with their options are split on purpose
load lib

root=/var/lib/mydocker run=/run/mydocker
setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() { teardown_leakcheck; }

# places prints commands that change the point of view, one a line.
places() {
  cat <<'PLACES'
unshare --pid --fork --mount-proc
unshare --pid --fork --kill-child
unshare --time --boottime 100000
unshare --time --boottime 100000 --pid --fork --mount-proc
unshare --mount --pid --fork sh -c 'mount -t proc -o hidepid=2 proc /proc && exec "$@"' sh
unshare --mount --pid --fork sh -c 'mount -t proc -o subset=pid proc /proc && exec "$@"' sh
unshare --mount sh -c 'umount -l /proc; exec "$@"' sh
unshare --mount sh -c 'mount -t tmpfs none /proc; exec "$@"' sh
unshare --mount --pid --fork sh -c 'mount -t proc proc /proc; umount -R -l /sys/fs/cgroup; exec "$@"' sh
unshare --mount --pid --fork --cgroup sh -c 'mount -t proc proc /proc; echo 00000000-1111-2222-3333-444444444444 >/tmp/boot; mount --bind /tmp/boot /proc/sys/kernel/random/boot_id; exec "$@"' sh
PLACES
}
from() { eval "timeout 60 $1 \"\${@:2}\""; }
answers() { curl -s -m 3 "127.0.0.1:$1" | grep -q busybox; }

# unharmed WHAT: the container web runs, answers, and has its record.
unharmed() {
  [[ $(mydocker ps -f name=web --format '{{.ID}} {{.Status}} {{.PID}}') == "$id running $pid" ]] || fail "$1: ps says $(mydocker ps)"
  [[ $(pgrep -fc '^httpd -f') == 1 ]] || fail "$1: $(pgrep -fc '^httpd -f') programs"
  answers 8080 || fail "$1: it does not answer"
}

@test "a running container is not taken for dead from any namespace" {
  local place what id pid
  id=$(mydocker run -d --name web -p 8080:80 busybox httpd -f -h /var/www)
  pid=$(mydocker ps -f name=web --format '{{.PID}}')
  eventually 5 answers 8080
  while IFS= read -r place; do
    for what in 'rm web' 'system prune' 'network prune' 'start web' 'run --name web busybox true'; do
      from "$place" mydocker $what >"$BATS_TEST_TMPDIR/said" 2>&1 </dev/null || true
      unharmed "$place: $what: $(cat "$BATS_TEST_TMPDIR/said")"
    done
    same '' "$(mydocker system check)" || fail "$place"
    [[ $place == */proc* ]] || from "$place" mydocker ps --format '{{.Name}} {{.Status}}' | grep -qx 'web running' || fail "$place: ps"
  done < <(places)
  does mydocker rm -f web
}

@test "from another pid namespace each operation works or is refused" {
  local id pid place='unshare --pid --fork --mount-proc'
  id=$(mydocker run -d --name web -p 8080:80 busybox httpd -f -h /var/www)
  pid=$(mydocker ps -f name=web --format '{{.PID}}')
  same running "$(from "$place" mydocker inspect -f '{{.Status}}' web)"
  run from "$place" mydocker rm web
  same 1 "$status"
  like 'container is running: stop it first' "$output"
  run from "$place" mydocker exec web true
  same 125 "$status"
  like 'another pid namespace' "$output"
  for what in 'stop -t 1' 'kill' 'rm -f' 'restart -t 0'; do
    run from "$place" mydocker $what web
    if [[ $status == 0 ]]; then # cgroup.kill works
      eventually 5 eval "! pgrep -f '^httpd -f' || is web running"
      [[ $what == rm* ]] || does mydocker start web
      [[ $what != rm* ]] || mydocker run -d --name web -p 8080:80 busybox httpd -f -h /var/www >/dev/null
    else
      like 'another pid namespace' "$output"
      unharmed "$what"
    fi
    id=$(mydocker ps -q) pid=$(mydocker ps -f name=web --format '{{.PID}}')
  done
  does mydocker rm -f web
}

# pidfd_open(2) takes pids of the caller's namespace, and this /proc shows those of another.
@test "no signal reaches another process with the same pid" {
  local pid
  mydocker run -d --name web --network none busybox sleep 1000 >/dev/null
  pid=$(mydocker ps -f name=web --format '{{.PID}}')
  # A process with the same pid, in a pid namespace with the /proc of the host.
  run unshare --pid --fork --mount sh -c '
    mount -t proc proc /mnt && echo $(($1 - 1)) >/mnt/sys/kernel/ns_last_pid
    sleep 300 & echo "victim $!"
    mydocker kill web; mydocker stop -t 0 web
    kill -0 $! && echo spared; kill $!' sh "$pid"
  like "victim $pid" "$output" || skip "no process got number $pid: $output"
  like spared "$output"
  mydocker rm -f web >/dev/null
}

@test "a container of an inner pid namespace is shown, entered and stopped from outside, and ends with the namespace" {
  local inner inside
  unshare --pid --fork --kill-child --mount-proc sh -c '
    mydocker run -d --name web -p 8080:80 busybox httpd -f -h /var/www >/dev/null; echo up >/tmp/up; exec sleep 1000' &
  inner=$!
  eventually 10 test -e /tmp/up
  rm /tmp/up
  is web running || fail "$(mydocker ps)"
  inside=$(mydocker ps -f name=web --format '{{.PID}}')
  same httpd "$(tr '\0' '\n' <"/proc/$inside/cmdline" | head -1)" # its pid outside
  same in "$(mydocker exec web echo in)"
  refuses 1 'container is running' mydocker rm web
  answers 8080 || fail 'it does not answer'
  does mydocker stop -t 0 web
  is web exited
  does mydocker start web
  answers 8080 || eventually 5 answers 8080
  does mydocker rm -f web
  kill -KILL "$inner" # it ignores other signals
  wait "$inner" || true
  same '' "$(mydocker system check)"
}

@test "a container of a pid namespace that ended is cleaned up from outside" {
  local inner
  unshare --pid --fork --kill-child --mount-proc sh -c '
    mydocker run -d --name web -p 8080:80 busybox httpd -f -h /var/www >/dev/null; echo up >/tmp/up; exec sleep 1000' &
  inner=$!
  eventually 10 test -e /tmp/up
  rm /tmp/up
  kill -KILL "$inner"
  wait "$inner" || true
  eventually 5 eval "! pgrep -f '^httpd -f'"
  eventually 5 is web exited
  does mydocker start web
  eventually 5 answers 8080
  does mydocker rm -f web
}

@test "foreground programs and those of the pipe are shown in other namespaces" {
  local place='unshare --pid --fork --mount-proc' name
  mydocker run --name front --network none busybox sleep 4715 &
  eventually 10 is front running
  md-rootfs mount --name piped busybox sleep 4715 | md-cgroup create | md-net attach | md-spawn run -d >/dev/null
  md-rootfs mount --name bare busybox sleep 4715 | md-spawn run -d >/dev/null # it has no cgroup
  from "$place" mydocker system prune >/dev/null 2>&1 || true
  for name in front piped bare; do
    from "$place" mydocker ps --format '{{.Name}} {{.Status}}' | grep -qx "$name running" || fail "$name: $(from "$place" mydocker ps)"
    ! from "$place" mydocker rm "$name" 2>/dev/null || fail "$name was removed"
    is "$name" running || fail "$name: $(mydocker ps)"
  done
  same 3 "$(pgrep -fc '^sleep 4715$')"
  does mydocker rm -f front piped bare
  wait
}

@test "a container with the state directories mounted sees the host's containers run" {
  local id pid
  id=$(mydocker run -d --name web -p 8080:80 busybox httpd -f -h /var/www)
  pid=$(mydocker ps -f name=web --format '{{.PID}}')
  eventually 5 answers 8080
  in_box() {
    mydocker run --rm --privileged --network none -v /:/host -v $root:$root -v $run:$run busybox \
      chroot /host env PATH="$PATH" mydocker "$@"
  }
  in_box ps --format '{{.Name}} {{.Status}}' | grep -qx 'web running' || fail "$(in_box ps 2>&1)"
  for what in 'rm web' 'system prune' 'system check --fix'; do
    in_box $what >"$BATS_TEST_TMPDIR/said" 2>&1 || true
    unharmed "$what: $(cat "$BATS_TEST_TMPDIR/said")"
  done
  does mydocker rm -f web
}

@test "a bundle's container is found from other namespaces by its cgroup" {
  local dir=$BATS_TEST_TMPDIR/bundle box=live image place
  image=$(md-rootfs mount --name image busybox true | jq -r .root.path)
  mkdir -p "$dir"
  jq -n --arg root "$image" '{ociVersion: "1.0.2", root: {path: $root},
    process: {cwd: "/", user: {uid: 0, gid: 0}, args: ["/bin/sleep", "4714"], env: ["PATH=/bin"]},
    mounts: [{destination: "/proc", type: "proc", source: "proc"}],
    linux: {namespaces: [{type: "pid"}, {type: "mount"}]}}' >"$dir/config.json"
  md-spawn create --bundle "$dir" $box </dev/null >/dev/null 2>&1
  for place in 'unshare --pid --fork --mount-proc' 'unshare --time --boottime 100000'; do
    same created "$(from "$place" md-spawn state $box | jq -r .status)"
  done
  md-spawn start $box
  for place in 'unshare --pid --fork --mount-proc' 'unshare --time --boottime 100000' 'unshare --pid --fork' \
    "unshare --mount --pid --fork sh -c 'mount -t proc proc /proc; umount -R -l /sys/fs/cgroup; exec \"\$@\"' sh"; do
    same running "$(from "$place" md-spawn state $box | jq -r .status)"
    ! from "$place" md-spawn delete $box 2>/dev/null || fail "$place: deleted while it runs"
    pgrep -f '^sleep 4714$|^/bin/sleep 4714$' >/dev/null || fail "$place: it was ended"
  done
  run from 'unshare --pid --fork --mount-proc' md-spawn delete --force $box
  if [[ $status == 0 ]]; then
    ! pgrep -f 'sleep 4714$' || fail 'deleted, and it runs'
  else
    pgrep -f 'sleep 4714$' >/dev/null || fail 'it was ended by what was refused'
    like 'another pid namespace' "$output"
    does md-spawn delete --force $box
  fi
  rmdir "$run/bundles" 2>/dev/null || true
  does mydocker rm image
}

# stopped NAME stops the container's monitor with SIGSTOP.
stopped() {
  monitor=$(monitor "$1")
  kill -STOP "$monitor"
  eventually 5 grep -q '^State:.T' "/proc/$monitor/status"
}
# swiftly SECONDS COMMAND...: the command takes less than that.
swiftly() {
  local before=$EPOCHREALTIME most=$1
  shift
  run --separate-stderr timeout 60 "$@"
  ((${EPOCHREALTIME/./} - ${before/./} < most * 1000000)) || fail "$*: it took $(((${EPOCHREALTIME/./} - ${before/./}) / 1000)) ms"
}
loop='trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done'

@test "with a stopped monitor stop, kill, rm -f, restart and wait work, and print a warning" {
  local what id monitor
  for what in 'stop' 'kill' 'rm -f' 'restart' 'start'; do
    id=$(mydocker run -d --name box busybox sh -c "$loop")
    eventually 5 eval 'mydocker logs box | grep -q ready'
    stopped box
    [[ $what != start ]] || md-spawn kill box KILL 2>/dev/null # continues the monitor
    [[ $what != start ]] || { eventually 5 is box exited && does mydocker start box && stopped box && kill -KILL "$(mydocker ps -f name=box --format '{{.PID}}')"; }
    swiftly 6 mydocker $what box
    same 0 "$status" || fail "$what: $stderr"
    like 'monitor, process [0-9]+, was stopped by a signal' "$stderr"
    case $what in
      stop) same 7 "$(md-ps -f name=box --format '{{.ExitCode}}')" && is box exited ;;
      kill) eventually 5 is box exited && same 137 "$(mydocker wait box)" ;;
      restart | start) is box running ;;
    esac
    [[ $what == rm* ]] || does mydocker rm -f box
  done
}

@test "with a stopped monitor exec, logs and attach work" {
  local monitor
  mydocker run -d --name box busybox sh -c 'echo ready; while [ ! -e /go ]; do sleep 0.05; done; echo late; sleep 0.5; exit 5' >/dev/null
  eventually 5 eval 'mydocker logs box | grep -q ready'
  stopped box
  swiftly 3 mydocker exec box touch /go
  same 0 "$status"
  sleep 0.2
  swiftly 5 mydocker logs -f box
  same $'ready\nlate' "$output"
  like 'was stopped by a signal' "$stderr"
  same 5 "$(mydocker wait box)"
  does mydocker rm box
  mydocker run -d --name box busybox sh -c 'while [ ! -e /go ]; do sleep 0.05; done; echo late; sleep 0.5; exit 5' >/dev/null
  stopped box
  mydocker exec box touch /go
  swiftly 5 mydocker attach box
  same 5 "$status"
  like 'was stopped by a signal' "$stderr"
  does mydocker rm box
}

@test "stop works with a stopped monitor in the restart delay and in the foreground" {
  local monitor
  mydocker run -d --name box --restart always busybox sh -c 'exit 3' >/dev/null
  eventually 10 is box restarting
  stopped box
  swiftly 6 mydocker stop box
  same 0 "$status"
  is box exited
  does mydocker rm box
  mydocker run --name box busybox sh -c "$loop" >/dev/null 3>&- &
  eventually 10 is box running
  sleep 0.3
  stopped box
  swiftly 6 mydocker stop box
  same 0 "$status"
  same 7 "$(md-ps -f name=box --format '{{.ExitCode}}')"
  wait
  does mydocker rm box
}

@test "a monitor under a debugger is replaced, and the program's exit code is kept" {
  command -v strace >/dev/null || skip 'strace is not installed'
  local monitor id
  id=$(mydocker run -d --name box -p 8080:80 busybox sh -c "$loop")
  eventually 5 eval 'mydocker logs box | grep -q ready'
  monitor=$(monitor box)
  timeout 60 strace -f -o /dev/null -e inject=all:delay_enter=0 -p "$monitor" 3>&- &
  eventually 5 grep -qE '^TracerPid:.[1-9]' "/proc/$monitor/status"
  kill -STOP "$monitor"
  eventually 5 grep -qE '^State:.[Tt]' "/proc/$monitor/status"
  swiftly 10 mydocker stop -t 1 box
  same 0 "$status"
  is box exited
  ! ls "$run/netns/$id" 2>/dev/null || fail 'its network is there'
  does mydocker rm box
  wait
}

@test "stats shows the traffic of a container whose pid is another one here" {
  # The recorded pid is that of the inner namespace, and belongs to another process here.
  unshare --pid --fork --kill-child --mount-proc sh -c 'mydocker run -d --name box busybox sleep 1000 && exec sleep 1000' >/dev/null 3>&- &
  local outer=$!
  eventually 10 is box running
  mydocker exec box wget -q -T 1 -O /dev/null http://10.20.30.1:9/ 2>/dev/null || true
  sent() { mydocker exec box cat /proc/net/dev | awk '/ceth-/ {print $10}'; }
  (($(sent) > 0)) || fail 'the container sent nothing'
  shown() { [[ $(mydocker stats --no-stream --format json box | jq .netSent) == "$(sent)" ]]; }
  eventually 5 shown || fail "stats: $(mydocker stats --no-stream --format json box), the container: $(sent)"
  does mydocker rm -f box
  kill -KILL "$outer" # unshare ignores other signals, and ends its child
  wait "$outer" || true
}
