#!/usr/bin/env bats
# Attaching to detached containers: attach, and start -a.
load lib

setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() {
  tmux kill-server 2>/dev/null || true
  teardown_leakcheck
}

@test "start -a shows both streams of this run only, and returns its exit code" {
  mydocker create --name one busybox sh -c 'echo out; echo err >&2; exit 7' >/dev/null
  local _
  for _ in 1 2 3; do
    run -7 --separate-stderr mydocker start -a one
    same out "$output"
    same err "$stderr"
  done
  same 3 "$(mydocker logs one 2>/dev/null | wc -l)"
  mydocker create --name two busybox nonsense >/dev/null
  refuses 127 'start two: execute nonsense: not found on PATH' mydocker start -a two
  refuses 125 'start nosuch: .*not found' mydocker start -a nosuch
  refuses 125 'start: .*want one container' mydocker start -a one two
}

@test "attach passes new output, input and signals, and returns the exit code" {
  mydocker run -d --interactive --name cat busybox cat >/dev/null
  (
    eventually 5 grep -q hello "$BATS_TEST_TMPDIR/out"
    mydocker kill cat >/dev/null
  ) 3>&- &
  run -137 --separate-stderr bash -c "{ echo hello; sleep 5; } | mydocker attach cat | tee $BATS_TEST_TMPDIR/out; exit \${PIPESTATUS[1]}"
  same hello "$output"
  wait
  mydocker run -d --name trap busybox sh -c 'trap "echo got it; exit 5" TERM; echo before; while :; do sleep 0.05; done' >/dev/null
  eventually 5 grep -q before "/var/lib/mydocker/containers/$(mydocker ps -lq)/log"
  sleep 0.3
  mydocker attach trap >"$BATS_TEST_TMPDIR/out" 3>&- &
  local attached=$! code=0
  sleep 0.5
  kill -TERM $attached
  wait $attached || code=$?
  same '5 got it' "$code $(cat "$BATS_TEST_TMPDIR/out")"
  refuses 125 'attach trap: container is not running' mydocker attach trap
  refuses 125 'attach nosuch: .*not found' mydocker attach nosuch
}

@test "attach to a terminal passes its size and input; Ctrl-P Ctrl-Q detaches" {
  mydocker run -d -t --interactive --name sh busybox sh >/dev/null
  tmux new-session -d -x 100 -y 30 'mydocker attach sh; echo "left with $?"; sleep 20' 3>&-
  screen() { tmux capture-pane -p; }
  sees() { screen | grep -qx "$1"; }
  sleep 0.3
  tmux send-keys 'stty size; echo $((6*7))' Enter
  eventually 5 sees 42
  sees '30 100'
  tmux send-keys C-p C-q
  eventually 5 sees 'left with 0'
  same running "$(mydocker ps --format '{{.Status}}')"
  # The monitor still reads the terminal: the program can exit.
  mydocker exec sh kill -9 -1 || true
  mydocker kill sh >/dev/null
  same 137 "$(mydocker wait sh)"
}
