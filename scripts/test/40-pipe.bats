#!/usr/bin/env bats
# The tools in a pipe, in a shell.
load lib

setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() { teardown_leakcheck; }

@test "four stages run a container, print its output and leave nothing" {
  does bash -o pipefail -c 'md-rootfs mount busybox | md-cgroup create | md-net attach | md-spawn run -- echo hello'
  same hello "$output"
}

@test "the pipe exits with the program's code" {
  run bash -c 'md-rootfs mount busybox | md-cgroup create | md-net attach | md-spawn run -- sh -c "exit 7"'
  same 7 "$status"
}

@test "a detached container has its limits, ports and volumes, and md-ps lists it" {
  does bash -o pipefail -c "md-rootfs mount busybox --name web -v $BATS_TEST_TMPDIR:/srv |
    md-cgroup create --memory-limit 64m --pids-max 20 |
    md-net attach -p 8088:80 |
    md-spawn run -d -- httpd -f -p 80 -h /var/www"
  like "$id_form" "$output"
  eventually 5 curl -fs http://127.0.0.1:8088/
  same 'hello from busybox' "$(curl -fs http://127.0.0.1:8088/)"
  like $'\tweb\t.*\t8088->80\t' "$(md-ps | cells)"
  same "$(md-ps)" "$(mydocker ps)"
}

@test "each stage prints one document, which jq can edit" {
  does bash -o pipefail -c "md-rootfs mount busybox | tee $BATS_TEST_TMPDIR/1 | md-cgroup create | tee $BATS_TEST_TMPDIR/2 |
    md-net attach | tee $BATS_TEST_TMPDIR/3 | jq '.process.args = [\"echo\", \"changed\"]' | md-spawn run"
  same changed "$output"
  local file
  for file in 1 2 3; do
    jq -e '.ociVersion' "$BATS_TEST_TMPDIR/$file" >/dev/null
  done
}

@test "a failing stage undoes the stages before it" {
  run bash -c 'md-rootfs mount busybox | md-cgroup create --memory-limit nonsense | md-net attach | md-spawn run -- true'
  [[ $status != 0 ]]
  run bash -c 'md-rootfs mount busybox | md-cgroup create | md-net attach -p nonsense | md-spawn run -- true'
  [[ $status != 0 ]]
  run bash -c 'md-rootfs mount busybox | md-cgroup create | md-net attach | md-spawn run --nonsense'
  [[ $status != 0 ]]
  run -127 bash -c 'md-rootfs mount busybox | md-cgroup create | md-net attach | md-spawn run -- nonsense'
}

@test "a stage without a document prints an error and changes nothing" {
  local stage
  for stage in 'md-cgroup create' 'md-net attach' 'md-spawn run'; do
    # shellcheck disable=SC2086
    run --separate-stderr $stage </dev/null
    [[ $status != 0 && -z $output && ${#stderr_lines[@]} == 1 ]] || fail "$stage: $status: $output: $stderr"
  done
}

@test "delete --force ends a paused container" {
  does mydocker run -d --name still --net none busybox sleep 100
  does mydocker pause still
  does timeout 20 md-spawn delete --force still
  refuses 1 'not found' mydocker inspect still
}

@test "--debug prints each device rule once: the control group is set up once" {
  mydocker --debug run --rm --net none busybox true 2>"$BATS_TEST_TMPDIR/debug"
  like '> /sys/fs/cgroup/devices/.*/devices.allow' "$(cat "$BATS_TEST_TMPDIR/debug")"
  same '' "$(grep -o "DEBUG .*/devices\..*" "$BATS_TEST_TMPDIR/debug" | sort | uniq -d)"
}
