#!/usr/bin/env bats
# Samples of what `make soak` does at length: harm to every command at moments that differ from run to run, power
# losses, full disks, and what is promised of many runs. The whole of it takes about an hour.
load lib

faults=$BATS_TEST_DIRNAME/../faults
setup_file() { warm_up busybox; }

# all_well COMMAND... succeeds, and its last line is shown with what went wrong.
all_well() {
  run "$@"
  [[ $status == 0 ]] || fail "$output"
}

@test "kill -9 at some moments of each command, then one ordinary command" { all_well "$faults/sweep" -r 1 -s 20 killall; }

@test "kill -9 at some moments of each stage of the pipe" { all_well "$faults/sweep" -r 1 kill,killall pipe pipe-d; }

@test "a disk that is full at some moment of each command" {
  all_well "$faults/sweep" -r 1 -s 19 ENOSPC
}

@test "power losses" { all_well "$faults/powerloss" 4; }

@test "stop, pause, many at once, a full network, a full disk, output and exit codes" {
  all_well "$faults/soak" -q stop paused at_once full_network disk echo slow_reader output
}

@test "the harm is done: a tool that is killed leaves what system check finds" {
  # A kill right before the process that would clean up does anything is the proof that the sweep can fail.
  "$faults/../../build/tools/faults" killall 200 mydocker run --rm -p 8080:80 busybox true || [[ $? == 137 ]]
  run mydocker system check
  [[ $status == 1 ]] || fail "nothing was harmed: $output"
  does mydocker run --rm busybox true
  does mydocker system check
}
