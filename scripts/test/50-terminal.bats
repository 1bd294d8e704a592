#!/usr/bin/env bats
# Terminal tests: tmux types, and its screen is read.
load lib

setup_file() {
  warm_up busybox
  mydocker run -d --name shell -i busybox sleep 1000 >/dev/null
}
teardown_file() {
  mydocker rm -f shell
}
setup() {
  setup_leakcheck
  tmux -L test -f /dev/null new-session -d -x 100 -y 30 'bash --norc' 3>&-
}
teardown() {
  tmux -L test kill-server 2>/dev/null || true
  rm -rf /tmp/tmux-0
  nothing_left
}

type_line() { tmux -L test send-keys -l "$1" \; send-keys Enter; }
key() { tmux -L test send-keys "$1"; }
screen() { tmux -L test capture-pane -p; }
# shows REGEX: a line of the screen matches within ten seconds.
shows() { eventually 10 bash -c "tmux -L test capture-pane -p | grep -qE '$1'" || fail "$(screen)"; }

@test "exec -t has the terminal's size and follows its changes" {
  type_line 'mydocker exec -t shell sh'
  shows '^/ #'
  type_line 'stty size'
  shows '^30 100$'
  tmux -L test resize-window -x 70 -y 20
  sleep 0.3
  type_line 'stty size'
  shows '^20 70$'
  type_line 'tty; exit'
  shows '^/dev/(pts/[0-9]+|console)$'
}

@test "run uses a terminal if there is one, and sets its size before the program starts" {
  type_line 'mydocker run --rm -i busybox sh -c "stty size; tty; echo TERM=\$TERM"; echo "code $?"'
  shows '^30 100$'
  shows '^TERM='
  shows '^code 0$'
}

@test "job control works in a shell" {
  type_line 'mydocker exec -t shell sh'
  shows '^/ #'
  type_line 'sleep 500'
  sleep 0.5
  key C-z
  shows 'Stopped +sleep 500'
  type_line 'jobs; bg'
  shows '\[1\].* sleep 500'
  type_line 'kill %1; wait; echo all done; exit'
  shows '^all done$'
}

@test "Ctrl-C reaches the program, and the shell goes on" {
  type_line 'mydocker exec -t shell sh; echo "code $?"'
  shows '^/ #'
  type_line 'sleep 500'
  sleep 0.5
  key C-c
  sleep 0.3
  type_line 'echo after $?'
  shows '^after 130$'
  key C-d
  shows '^code 130$|^code 0$'
}

@test "Ctrl-C ends a foreground run with 130, and the terminal is restored" {
  type_line 'stty -a | md5sum; mydocker run --rm --init -i busybox sleep 500; echo "code $?"; stty -a | md5sum'
  sleep 1
  key C-c
  shows 'code 130$'
  same 1 "$(screen | grep -E '^[0-9a-f]{32} ' | sort -u | wc -l)"
}

@test "the interactive session of the README works" {
  type_line 'mydocker exec shell sh'
  shows '^/ #'
  type_line 'hostname; exit'
  shows '^[0-9a-f]{12}$'
}

@test "exec -t opens a terminal without one of the caller, --tty=false opens none" {
  run bash -c "mydocker exec -t shell tty </dev/null"
  like '/dev/(pts/[0-9]+|console)' "$output"
  type_line 'mydocker exec --tty=false shell tty; echo "code $?"'
  shows '^not a tty'
}

@test "ps cuts COMMAND to the width of the terminal, and nothing in a pipe or with --no-trunc" {
  local command='echo a command line that is much longer than the terminal is wide, and needs to be cut; sleep 1000'
  mydocker run -d --name long busybox sh -c "$command" >/dev/null
  like "wide, and needs to be cut; sleep 1000\\]" "$(mydocker ps -f name=long)"
  tmux -L test resize-window -x 150 -y 20
  sleep 0.3
  type_line 'mydocker ps -f name=long | cat; clear; mydocker ps -f name=long; echo done'
  shows '^done$'
  same 4 "$(screen | grep -c .)" # header, row, done, prompt
  shows ' \[sh -c echo a.*[.]{3} .* 20[0-9-]+ [0-9:]+$'
  type_line 'clear; md-ps --no-trunc -f name=long; echo done'
  shows 'sleep 1000\]'
  mydocker rm -f long >/dev/null
}
