#!/usr/bin/env bats
# A container after its program exits, its monitor dies, or the machine restarts.
load lib

setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() { teardown_leakcheck; }

spawn() { jq -r "$2" "/var/lib/mydocker/containers/$(mydocker ps -q -f name="$1")/spawn.json"; }
restarts() { (($(spawn "$1" '.restarts // 0') >= $2)); }
boot() { does mydocker system boot; }

@test "on-failure restarts up to the limit, and not after success" {
  mydocker run -d --name fails --restart on-failure:2 busybox sh -c 'echo x >>/count; echo run; exit 3' >/dev/null
  mydocker run -d --name works --restart on-failure busybox sh -c 'echo run' >/dev/null
  same 3 "$(md-spawn wait fails)"
  eventually 10 restarts fails 2
  eventually 10 is fails exited
  same $'run\nrun\nrun' "$(mydocker logs fails)" # restarts append to the log
  same 2 "$(spawn fails .restarts)"
  eventually 10 is works exited
  same run "$(mydocker logs works)"
  same 3 "$(md-ps -f name=fails --format '{{.ExitCode}}')"
  mydocker start fails >/dev/null # resets the count
  eventually 10 restarts fails 2
  eventually 10 is fails exited
}

@test "always keeps files and address, doubles the delay, and ends with stop" {
  local before
  mydocker run -d --name again -p 8080:80 --restart always busybox sh -c 'echo x >>/count; cat /count | wc -l; sleep 0.1' >/dev/null
  before=$(md-ps -f name=again --format '{{.IPs}}')
  eventually 10 restarts again 2
  same "$before" "$(md-ps -f name=again --format '{{.IPs}}')"
  eventually 10 is again restarting
  refuses 1 'is running: stop it first' mydocker rm again
  refuses 125 'container is not running' mydocker exec again true
  does mydocker start again # already running
  does mydocker stop -t 0 again
  is again exited
  same true "$(spawn again .stopped)"
  like $'^1\n2\n3' "$(mydocker logs again)"
  same '' "$(pgrep -f "md-spawn monitor" || true)"
  does mydocker start again
  eventually 10 restarts again 1
  does mydocker rm -f -v again
}

@test "stop, restart and rm -f work during the restart delay" {
  local pid
  mydocker run -d --name long --restart unless-stopped busybox sleep 1000 >/dev/null
  pid=$(md-ps -f name=long --format '{{.PID}}')
  md-spawn kill long KILL # a signal, not a request to stop
  eventually 10 restarts long 1
  eventually 10 is long running
  [[ $pid != "$(md-ps -f name=long --format '{{.PID}}')" ]]
  does mydocker restart -t 0 long
  is long running
  same 0 "$(spawn long '.restarts // 0')"
  does mydocker stop -t 0 long
  is long exited
  mydocker run -d --name waits --restart always busybox false >/dev/null
  eventually 10 restarts waits 3
  does mydocker rm -f waits
  mydocker run -d --name killed --restart always busybox sleep 1000 >/dev/null
  does mydocker kill -s HUP killed # not a signal that ends it
  does mydocker kill killed
  eventually 5 is killed exited
  same true "$(spawn killed .stopped)"
}

@test "rm -f in parallel with start removes the container" {
  local i
  for i in 1 2 3 4 5 6; do
    mydocker create --name contested busybox sleep 1000 >/dev/null
    mydocker start contested >/dev/null 2>&1 3>&- & # may fail: the container may be gone
    sleep "0.0$i"
    does mydocker rm -f contested
    wait $! || true
    same '' "$(mydocker ps -q)"
    same '' "$(mydocker system check)"
  done
}

@test "exec in a container that exits at the same time reports that it is not running" {
  mydocker create --name short --net none busybox sleep 0.2 >/dev/null
  for _ in {1..25}; do
    mydocker start short >/dev/null
    while mydocker exec short true 2>>"$BATS_TEST_TMPDIR/said"; do :; done
    mydocker wait short >/dev/null
  done
  same 'mydocker: exec short: container is not running' "$(sort -u "$BATS_TEST_TMPDIR/said")"
  mydocker rm short >/dev/null
}

@test "a foreground run hands over to a monitor, and returns the first exit code" {
  run -4 --separate-stderr mydocker run --name front --restart on-failure:1 busybox sh -c 'echo here; exit 4'
  same here "$output"
  eventually 10 restarts front 1
  eventually 10 is front exited
  same $'here\nhere' "$(mydocker logs front)"
}

@test "invalid restart policies are refused" {
  refuses 125 '--restart "sometimes": want' mydocker run -d --restart sometimes busybox true
  refuses 125 'removed when it ends' mydocker run -d --rm --restart always busybox true
  refuses 125 '--log-opt max-size' mydocker run -d --log-opt max-size=tiny busybox true
}

@test "the log is limited in size, and logs -f follows it across files" {
  mydocker run -d --name talks --log-opt max-size=64k --log-opt max-file=2 busybox \
    sh -c 'i=0; while [ $i -lt 10000 ]; do echo $i; i=$((i+1)); done; echo end; sleep 0.2' >/dev/null
  mydocker logs -f talks >"$BATS_TEST_TMPDIR/followed"
  same end "$(tail -n 1 "$BATS_TEST_TMPDIR/followed")"
  # The output has no gap, though its start may be missing.
  awk '$1 != "end" && NR > 1 && $1 != last + 1 {gaps++} {last = $1} END {exit gaps > 2}' "$BATS_TEST_TMPDIR/followed"
  same 9999 "$(mydocker logs --tail 2 talks | head -n 1)"
  same 5001 "$(mydocker logs --tail 5001 talks | wc -l)" || (($(mydocker logs talks | wc -l) < 5001))
  (($(du -bc /var/lib/mydocker/containers/*/log* | tail -n 1 | cut -f1) < 3 * 65536))
}

@test "when the monitor is killed, the container ends and every command reports it" {
  local id pid
  id=$(mydocker run -d --name orphan -p 8080:80 busybox sh -c 'echo hello; sleep 1000')
  pid=$(md-ps -f name=orphan --format '{{.PID}}')
  said() { same "$1" "$(grep -c hello "/var/lib/mydocker/containers/$id/log")"; }
  eventually 5 said 1
  mydocker wait orphan >"$BATS_TEST_TMPDIR/waited" 3>&- &
  kill -KILL "$(monitor orphan)"
  eventually 1 is orphan exited
  [[ ! -d /proc/$pid ]]
  wait $!
  same 137 "$(cat "$BATS_TEST_TMPDIR/waited")"
  does mydocker start orphan
  eventually 5 said 2
  kill -KILL "$(monitor orphan)"
  eventually 1 is orphan exited
  same null "$(spawn orphan .finished)" # not recorded, but derived
  same 137 "$(md-ps -f name=orphan --format '{{.ExitCode}}')"
  same 137 "$(mydocker wait orphan)"
  same $'hello\nhello' "$(mydocker logs orphan)"
  does mydocker stop orphan
  same 137 "$(spawn orphan .exitCode)"
  does mydocker start orphan
  is orphan running
  kill -KILL "$(monitor orphan)" "$(md-ps -f name=orphan --format '{{.PID}}')"
  eventually 1 is orphan exited
  does mydocker rm -v orphan
}

@test "when the monitor of an always container is killed, start and boot restart it" {
  mydocker run -d --name always --restart always -p 8080:80 busybox sleep 1000 >/dev/null
  mydocker run -d --name waits --restart always busybox false >/dev/null
  eventually 10 restarts waits 4 # in the restart delay
  kill -KILL "$(monitor always)" "$(monitor waits)"
  eventually 1 is always exited
  eventually 1 is waits exited
  does mydocker start always
  is always running
  kill -KILL "$(monitor always)"
  eventually 1 is always exited
  does mydocker system boot
  same 2 "${#lines[@]}"
  is always running
  eventually 5 is waits restarting
  same '' "$(mydocker system check)"
}

@test "a container survives the end of its terminal" {
  setsid script -qec 'mydocker run -d --name stays busybox sleep 1000' /dev/null </dev/null >/dev/null
  is stays running
  kill -HUP "$(monitor stays)" # forwarded to the program, which is PID 1 and has no handler
  sleep 0.2
  is stays running
}

@test "a monitor uses little memory, also after a restart of its program" {
  local pid size
  mydocker run -d --name small --restart always busybox sleep 1000 >/dev/null
  pid=$(monitor small)
  md-spawn kill small KILL
  eventually 10 restarts small 1
  eventually 10 is small running
  same "$pid" "$(monitor small)"
  like 'watch' "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
  size=$(awk '/^Private_Dirty:/ {print $2}' "/proc/$pid/smaps_rollup")
  ((size < 1024)) || fail "it has $size kB of its own"
  mydocker exec small true
}

@test "the monitor keeps the program's standard input open" {
  mydocker run -d --interactive --name reads busybox sh -c 'read x; echo got $x' >/dev/null
  echo hello >"/proc/$(monitor reads)/fd/$(jq .input "/run/mydocker/$(mydocker ps -q)/state.json")"
  md-spawn wait reads >/dev/null
  same 'got hello' "$(mydocker logs reads)"
}
