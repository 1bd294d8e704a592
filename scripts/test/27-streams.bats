#!/usr/bin/env bats
# Streams and signals of commands: every wait can be interrupted, logs show whole lines and end, and background
# processes hold no descriptor of the caller.
load lib

setup_file() {
  warm_up busybox
  mydocker network create other >/dev/null
  mydocker network rm other >/dev/null
}
setup() {
  mkdir -p /run/mydocker/bundles
  setup_leakcheck
  cd "$BATS_TEST_TMPDIR" || return
}
teardown() {
  exec 7>&- 8>&-
  mydocker run --rm --net none busybox true # cleans up after killed commands
  teardown_leakcheck
}

# held LOCK: this process holds the lock, on descriptor 8.
held() {
  exec 8>"/run/mydocker/$1"
  flock 8
}

# gone PID: the process exits within a few seconds; otherwise it is killed.
gone() { timeout 2 tail -s 0.05 --pid="$1" -f /dev/null || { kill -9 "$1"; return 1; }; }

# ends NAME COMMAND...: the command exits soon after each signal with its code and at most one line on standard error.
ends() {
  local name=$1 sig pid code
  shift
  for sig in INT TERM; do
    env --default-signal=INT "$@" >out 2>err 3>&- 7>&- 8>&- </dev/stdin &
    pid=$!
    sleep "${before:-0.4}"
    kill -0 $pid 2>/dev/null || { fail "$name did not wait: $(cat out err)"; return 1; }
    code=0
    kill -$sig $pid
    gone $pid || { fail "$name goes on after SIG$sig"; return 1; }
    wait $pid || code=$?
    [[ $sig$code == INT130 || $sig$code == TERM143 ]] || { fail "$name: exit $code after SIG$sig: $(cat err)"; return 1; }
    (($(wc -l <err) <= 1)) || { fail "$name: $(cat err)"; return 1; }
    unlike 'context canceled|panic|goroutine' "$(cat err)"
  done
}

@test "a command that waits for a lock ends on SIGINT and SIGTERM, and undoes its changes" {
  mydocker create --name box -v data:/data busybox true >/dev/null
  held locks/network
  ends 'run' mydocker run --rm busybox true
  same '' "$(awk '{print $5}' /proc/self/mountinfo | grep /var/lib/mydocker/containers/ || true)"
  ends 'network create' mydocker network create two
  ends 'start' mydocker start box
  md-rootfs mount busybox true | md-cgroup create >doc
  ends 'md-net attach' md-net attach --spec doc
  held locks/names
  ends 'create --name' mydocker create --name two busybox true
  exec 8>&-
  mydocker run --rm --net none busybox true # cleans up what needed the lock
  same 1 "$(find /var/lib/mydocker/containers -mindepth 1 -maxdepth 1 | wc -l)"
  held locks/images
  ends 'rmi' mydocker rmi busybox
  ends 'tag' mydocker tag busybox two:three
  ends 'pull' mydocker pull busybox
  ends 'save' mydocker save -o two.tar busybox
  held locks/volume-data
  ends 'volume rm' mydocker volume rm data
  mkdir -p "/run/mydocker/$(mydocker ps -aq)"
  held "$(mydocker ps -aq)/lock"
  ends 'rm' mydocker rm box
  ends 'update' mydocker update --memory-limit 100m box
  ends 'md-spawn delete' md-spawn delete box
  exec 8>&-
  mydocker rm box >/dev/null
  mydocker volume rm data >/dev/null
}

@test "a command that waits for a container ends on SIGINT and SIGTERM" {
  mydocker run -d --net none --name box busybox sh -c 'trap "" TERM; while :; do sleep 0.1; done' >/dev/null
  local command
  for command in 'mydocker wait box box' 'mydocker stop -t -1 box' 'mydocker restart -t -1 box' 'mydocker logs -f box' \
    'mydocker stats' 'md-spawn wait box' 'md-spawn logs -f box'; do
    # shellcheck disable=SC2086
    ends "$command" $command
    same '' "$(cat err)"
  done
  same running "$(mydocker ps --format '{{.Status}}')"
}

@test "a command that waits for standard input ends on SIGINT and SIGTERM, and leaves nothing" {
  mkfifo silent
  exec 7<>silent
  local command
  for command in 'md-cgroup create --pids-max 3' 'md-net attach' 'md-spawn run' 'md-spawn run -d' 'md-rootfs mount - busybox true' \
    'mydocker load' 'md-pull -'; do
    # shellcheck disable=SC2086
    ends "$command" $command <&7
    same '' "$(ls /var/lib/mydocker/containers)"
  done
  # The document is complete, but standard input stays open: the stages before must be undone.
  md-rootfs mount busybox true >doc
  cat doc >&7
  env --default-signal=INT md-cgroup create <&7 >out 2>err 3>&- 7>&- &
  local pid=$! code=0
  sleep 0.4
  kill -INT $pid
  gone $pid || fail 'md-cgroup goes on'
  wait $pid || code=$?
  same 130 $code
  same '' "$(ls /var/lib/mydocker/containers)"
}

@test "a command that writes to a full pipe ends on SIGINT and SIGTERM" {
  mydocker run --net none --name talks busybox sh -c 'yes | head -n 200000' >/dev/null
  mkfifo full
  exec 7<>full
  local command
  for command in 'mydocker logs talks' 'mydocker logs -f talks' 'mydocker save busybox' 'md-pull --to - busybox'; do
    ends "$command" sh -c "exec $command >full"
  done
}

@test "a run that waits for a registry ends on SIGINT and SIGTERM" {
  python3 -c 'import socket, time; s = socket.create_server(("127.0.0.1", 5999)); time.sleep(60)' 3>&- &
  local server=$!
  sleep 0.5
  before=1 ends run mydocker run --rm localhost:5999/silent true
  before=1 ends pull mydocker pull localhost:5999/silent
  kill $server
}

@test "run, exec and attach end with a signalled program whose output is not read" {
  mkfifo full
  exec 7<>full
  local loud='trap "exit 3" TERM; yes & wait' pid code
  mydocker run -d --net none --name box busybox sleep 100 >/dev/null
  mydocker run -d --net none --name loud busybox sh -c "$loud" >/dev/null
  start() {
    "$@" >full 2>err 3>&- 7>&- &
    pid=$!
    sleep 0.7
    kill -TERM $pid
    code=0
    gone $pid || fail "$* goes on"
    wait $pid || code=$?
    same 3 $code
  }
  start mydocker run --rm --net none busybox sh -c "$loud"
  start mydocker exec box sh -c "$loud"
  start mydocker attach loud
}

@test "Ctrl-P Ctrl-Q detaches while output flows, and on a blocked terminal" {
  mydocker run -d -t --net none --name tty busybox yes aaaaaaaaaaaaaaaaaaaaaaaa >/dev/null
  cat >detach.py <<'P'
import os, pty, select, sys, time
reads = sys.argv[1] == "reads"
pid, fd = pty.fork()
if pid == 0:
    os.execvp("mydocker", ["mydocker", "attach", "tty"])
sent, start = False, time.time()
while time.time() < start + 4:
    if not sent and time.time() > start + 0.7:
        os.write(fd, b"\x10\x11")
        sent = True
    if reads and select.select([fd], [], [], 0.05)[0]:
        try:
            os.read(fd, 65536)
        except OSError:
            pass
    elif not reads:
        time.sleep(0.05)
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        sys.exit(os.waitstatus_to_exitcode(status))
os.kill(pid, 9)
sys.exit(99)
P
  python3 detach.py reads 3>&-
  python3 detach.py 'does not' 3>&-
  same running "$(mydocker ps --format '{{.Status}}')"
}

@test "logs ends with the output that exists when it starts, however fast the program writes" {
  mydocker run -d --net none --name busy --log-opt max-size=1m busybox yes aaaaaaaaaaaaaaaaaaaaaaaa >/dev/null
  eventually 10 test -e "/var/lib/mydocker/containers/$(mydocker ps -q)/log.1"
  local option
  for option in '' '--tail 1000' '--since 1h' '-t'; do
    # shellcheck disable=SC2086
    timeout 20 mydocker logs $option busy >out || fail "logs $option: $?"
    [[ $(wc -c <out) -lt 8000000 ]] || fail "logs $option: $(wc -c <out) bytes of 3 MiB"
  done
  ends 'logs -f' mydocker logs -f --tail 1 busy
}

@test "logs shows a line that was written in pieces as one line" {
  mydocker run --name box --net none busybox sh -c 'printf aaa; sleep 0.3; echo between >&2; sleep 0.3; echo bbb; sleep 0.2; echo end >&2' >/dev/null 2>&1
  same '' "$(mydocker logs --tail 1 box 2>/dev/null)"
  same aaabbb "$(mydocker logs --tail 2 box 2>/dev/null)"
  same $'aaabbb\nend' "$(mydocker logs --tail 2 box 2>&1)"
  local middle
  middle=$(awk '/between/ {print $1}' "/var/lib/mydocker/containers/$(mydocker ps -aq)/log")
  same aaabbb "$(mydocker logs --since "$middle" box 2>/dev/null)"
  same aaabbb "$(mydocker logs --until "$middle" box 2>/dev/null)"
  same 1 "$(mydocker logs -t box 2>/dev/null | grep -o '20[0-9-]*T' | wc -l)"
  mydocker run --name long --net none --log-opt max-size=20k,max-file=20 busybox \
    sh -c 'head -c 100000 /dev/zero | tr "\\0" x; echo; echo end' >/dev/null
  same 100001 "$(mydocker logs --tail 2 long | head -n 1 | wc -c)"
  same 2 "$(mydocker logs --tail 2 -t long | wc -l)"
}

# unheld NAME COMMAND...: after the command no process has the pipe that was its standard output, standard error and
# descriptor 9.
unheld() {
  local name=$1 pipe
  shift
  rm -f held
  mkfifo held
  exec 7<>held
  "$@" >held 2>held 9>held 3>&- 7>&- || { fail "$name: $? $(timeout 1 cat held)"; return 1; }
  exec 7>&-
  pipe=$(stat -c %d:%i held)
  local holders
  holders=$(for fd in /proc/[0-9]*/fd/*; do
    [[ $(stat -Lc %d:%i "$fd" 2>/dev/null) != "$pipe" ]] || echo "$(tr '\0' ' ' <"${fd%/fd/*}/cmdline") ${fd##*/}"
  done)
  [[ $holders != *[a-z]* ]] || fail "$name: the pipe is held by $holders"
}

@test "background processes hold no descriptor of the caller, with and without --debug" {
  mydocker create --net none --name one busybox sleep 100 >/dev/null
  mydocker run -d --net none --name box busybox sleep 100 >/dev/null
  local debug
  for debug in '' --debug; do
    # shellcheck disable=SC2086
    {
      unheld "run -d $debug" mydocker $debug run -d --net none busybox sleep 100
      unheld "run -d --init $debug" mydocker $debug run -d --init --net none busybox sleep 100
      unheld "start $debug" mydocker $debug start one
      unheld "restart $debug" mydocker $debug restart -t 0 one
      unheld "exec -d $debug" mydocker $debug exec -d box sleep 100
      unheld "md-spawn exec -d $debug" md-spawn $debug exec -d box sleep 100
      mydocker run -d --net none --restart always --name boots busybox sleep 100 >/dev/null
      kill -9 "$(pgrep -f "monitor $(mydocker ps -lq)")"
      unheld "system boot $debug" mydocker $debug system boot
      mydocker rm -f boots >/dev/null
      md-rootfs mount busybox sleep 100 >doc
      unheld "md-spawn run -d $debug" md-spawn $debug run -d --spec doc
      unheld "a restart policy $debug" mydocker $debug run --net none --restart on-failure --name fails busybox sh -c '[ -e x ] || { touch x; exit 0; }; sleep 100'
      mydocker rm -f fails >/dev/null
    }
    mydocker stop -t 0 one >/dev/null
  done
}

@test "a bundle's program inherits only its creator's standard streams" {
  mkdir -p bundle/rootfs
  "$BATS_TEST_DIRNAME/../busybox-layout" image
  umoci unpack --image image:latest unpacked >/dev/null
  rm -rf bundle && mkdir bundle && mv unpacked/rootfs bundle/rootfs
  (cd bundle && md-spawn spec && jq '.process.terminal = false | .process.args = ["sleep", "100"]' config.json >c && mv c config.json)
  local debug
  for debug in '' --debug; do
    # shellcheck disable=SC2086
    unheld "create $debug" sh -c "exec md-spawn $debug create --bundle bundle box </dev/null >log 2>&1"
    unheld "start $debug" md-spawn $debug start box
    md-spawn delete --force box
  done
}
