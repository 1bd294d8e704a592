#!/usr/bin/env bats
# Samples of `make soak`: faults in every command at random moments, power losses, full disks, and the
# promises about many runs. All of it takes about an hour.
load lib

faults=$BATS_TEST_DIRNAME/../faults
setup_file() { warm_up busybox; }

# all_well COMMAND... succeeds; on failure its output is shown.
all_well() {
  run "$@"
  [[ $status == 0 ]] || fail "$output"
}

@test "one ordinary command cleans up after commands killed at random moments" { all_well "$faults/sweep" -r 1 -s 20 killall; }

@test "one ordinary command cleans up after stages killed at random moments" { all_well "$faults/sweep" -r 1 kill,killall pipe pipe-d; }

@test "a full disk at random moments of each command loses nothing" {
  all_well "$faults/sweep" -r 1 -s 19 ENOSPC
}

@test "power losses lose nothing that was promised" { all_well "$faults/powerloss" 4; }

@test "many runs keep their promises: stop, pause, a full network, a full disk, output, exit codes" {
  all_well "$faults/soak" -q stop paused at_once full_network disk echo slow_reader output
}

@test "a killed tool leaves something that system check finds" {
  # The kill comes before the process that cleans up has done anything, so the sweep can fail.
  local tool=$faults/../../build/tools/faults calls
  does mydocker run --rm -p 8080:80 busybox true # the first one also sets up the firewall
  calls=$("$tool" count mydocker run --rm -p 8080:80 busybox true 9>&1 | tail -n 1)
  "$tool" killall $((calls / 2)) mydocker run --rm -p 8080:80 busybox true || [[ $? == 137 ]]
  run mydocker system check
  [[ $status == 1 ]] || fail "nothing was harmed: $output"
  does mydocker run --rm busybox true
  does mydocker system check
}
