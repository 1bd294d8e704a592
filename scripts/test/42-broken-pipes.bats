#!/usr/bin/env bats
# A stage that fails or is killed, at each position of the pipe and at many moments: the pipe fails, one
# line names the stage and the cause, and nothing is left.
#
# MYDOCKER_KILL_STEP=1 kills `mydocker run` and each stage at every call instead of a sample (minutes).
load lib

setup_file() { warm_up busybox; }
setup() {
  setup_leakcheck
  dir=$BATS_TEST_TMPDIR
  stages=('md-rootfs mount --name web -v /anonymous busybox sh -c "echo ran"' 'md-cgroup create --pids-max 20'
    'md-net attach -p 8080:80' 'md-spawn run')
}
teardown() { teardown_leakcheck; }

# clean WHAT checks that nothing is left.
clean() { "$leakcheck" compare "$first_look" || fail "after: $*"; }

# pipe POSITION STAGE prints the pipe with this stage at the position.
pipe() {
  local parts=("${stages[@]}")
  parts[$1]=$2
  printf '%s' "${parts[0]}"
  printf ' | %s' "${parts[@]:1}"
}

# fails CODE LINE COMMAND: exit code, nothing on stdout, and one line that matches, except lines of the
# later stages, which got no document.
fails() {
  run "-$1" --separate-stderr bash -o pipefail -c "$3"
  [[ -z $output ]] || fail "$3" "$output"
  same 1 "$(grep -vc ': no document on standard input' <<<"$stderr")"
  like "$2" "$(grep -v ': no document on standard input' <<<"$stderr")"
}

@test "wrong usage of any stage fails the pipe" {
  fails 125 '^md-rootfs: mount: .*--nonsense' "$(pipe 0 'md-rootfs mount --nonsense busybox')"
  fails 125 '^md-cgroup: create: .*--nonsense' "$(pipe 1 'md-cgroup create --nonsense')"
  fails 125 '^md-cgroup: create: .*memory' "$(pipe 1 'md-cgroup create --memory-limit nonsense')"
  fails 125 '^md-net: attach: .*--nonsense' "$(pipe 2 'md-net attach --nonsense')"
  fails 125 '^md-net: attach: .*nonsense' "$(pipe 2 'md-net attach -p nonsense')"
  fails 125 '^md-spawn: run: .*--nonsense' "$(pipe 3 'md-spawn run --nonsense')"
  fails 2 '^md-net: attach: .*--nonsense' "md-rootfs mount busybox | md-net attach --nonsense"
  clean 'wrong usage'
}

@test "an unavailable image, name, user, cpu or port at any stage fails the pipe" {
  mydocker run -d --name holder -p 8081:80 busybox sleep 100 >/dev/null
  local first_look=$dir/before
  "$leakcheck" snapshot "$first_look"
  fails 125 '^md-rootfs: mount: .*nosuch' "$(pipe 0 'md-rootfs mount nosuch')"
  fails 125 '^md-rootfs: mount: .*holder.*taken' "$(pipe 0 'md-rootfs mount --name holder busybox')"
  fails 125 '^md-rootfs: mount: .*nosuch' "$(pipe 0 'md-rootfs mount -u nosuch busybox')"
  fails 125 '^md-cgroup: create: .*cpu' "$(pipe 1 'md-cgroup create --cpuset-cpus 999')"
  fails 125 '^md-net: attach: .*nosuch' "$(pipe 2 'md-net attach --net nosuch')"
  fails 125 '^md-net: attach: .*8081.*taken.*holder' "$(pipe 2 'md-net attach -p 8082:82 -p 8081:80')"
  fails 127 '^md-spawn: run: .*nonsense' "$(pipe 3 'md-spawn run -- nonsense')"
  fails 126 '^md-spawn: run: .*/etc/passwd' "$(pipe 3 'md-spawn run -- /etc/passwd')"
  clean 'what cannot be had'
}

@test "an invalid document, or one of another version, is refused" {
  fails 125 '^md-cgroup: create: .*ociVersion "2.0.0"' "$(pipe 0 "${stages[0]} | jq '.ociVersion = \"2.0.0\"'")"
  fails 125 '^md-net: attach: .*not an OCI' "$(pipe 1 "${stages[1]} | jq '.process = 7'")"
  fails 125 '^md-net: attach: .*after' "$(pipe 1 "${stages[1]} | { cat; echo '{}'; }")"
  mydocker run --rm busybox true
  clean 'bad documents'
}

@test "a reader that exits without reading fails the stage before it" {
  local reader
  for reader in true 'sleep 0.2' 'head -c 0' '{ exec <&-; sleep 0.1; }'; do
    fails 1 '^md-rootfs: mount: pass on the document: ' "${stages[0]} | $reader"
    fails 1 '^md-net: attach: pass on the document: ' "${stages[0]} | ${stages[1]} | ${stages[2]} | $reader"
  done
  fails 1 '^md-cgroup: create: pass on the document: ' "${stages[0]} | ${stages[1]} >/dev/full"
  clean 'readers that are gone'
}

@test "slow and foreign programs may stand between the stages" {
  local foreign
  for foreign in '{ sleep 0.3; cat; }' "tee $dir/copy" 'jq -c .' 'dd bs=100 status=none' "sh -c 'cat; sleep 0.2'"; do
    does bash -o pipefail -c "${stages[0]} | $foreign | ${stages[1]} | $foreign | ${stages[2]} | $foreign | ${stages[3]}"
    same ran "$output"
  done
  fails 125 '^md-net: attach: ' "$(pipe 1 "${stages[1]} | { sleep 0.2; cat; }" | sed 's/-p 8080:80/-p nonsense/')"
  clean 'foreign programs'
}

# System calls that change something, and calls in which the stages wait.
calls=mount,umount2,mkdirat,renameat,renameat2,linkat,unlinkat,symlinkat,write,sendto,sendmsg,clone,clone3,setns,unshare
calls+=,fchmod,fsync,execve,openat,fchownat,flock,read

# signalled SIGNAL N COMMAND prints the command with a signal at the N-th such call of any of its threads.
signalled() { echo "strace -f -qq -o /dev/null -e trace=$calls -e inject=$calls:signal=$1:when=$2 $3"; }

# survives COMMAND: wherever it is killed, its exit code tells whether it completed, and the next ordinary command
# cleans up.
survives() {
  local code=0
  timeout 30 bash -o pipefail -c "$1" >"$dir/out" 2>"$dir/err" </dev/null || code=$?
  [[ $code != 124 ]] || fail "hangs: $1"
  [[ $code != 0 || $(cat "$dir/out") == ran ]] || fail "says that it did: $1" "$(cat "$dir/out" "$dir/err")"
  unlike 'panic|goroutine' "$(cat "$dir/err")"
  does mydocker run --rm busybox true
  clean "$1"
}

@test "mydocker run killed at any moment is cleaned up by the next command" {
  local n
  for ((n = 1; n <= 120; n += ${MYDOCKER_KILL_STEP:-5})); do
    survives "$(signalled KILL $n 'mydocker run --rm --name web -v /anonymous -p 8080:80 --pids-max 20 busybox echo ran')"
  done
}

@test "each stage killed at any moment is cleaned up by the next command" {
  local at n
  for at in 0 1 2 3; do
    for ((n = 1 + at; n <= 60; n += ${MYDOCKER_KILL_STEP:-10})); do
      survives "$(pipe $at "$(signalled KILL $n "${stages[at]}")")"
    done
  done
}

@test "TERM and INT at any moment undo each stage" {
  local at n
  for at in 0 1 2 3; do
    for ((n = 1 + at; n <= 50; n += ${MYDOCKER_KILL_STEP:-20})); do
      survives "$(pipe $at "$(signalled TERM $n "${stages[at]}")")"
      survives "$(pipe $at "$(signalled INT $((n + 7)) "${stages[at]}")")"
    done
  done
}

# interrupted SECONDS TIMES sends SIGINT to the whole pipe, as a terminal does, and prints its exit code.
interrupted() {
  local code=0 group
  rm -f "$dir/begun"
  # Background processes of a script ignore SIGINT unless it is reset.
  setsid env --default-signal=INT bash -o pipefail -c ">$dir/begun; \
    $(pipe 0 'md-rootfs mount --name web busybox sh -c "trap \"exit 9\" INT; echo ran; sleep 1 & wait; exit 9"')" \
    >"$dir/out" 2>"$dir/err" 3>&- &
  group=$!
  until [[ -e $dir/begun ]]; do :; done
  sleep "$1"
  for _ in $(seq "$2"); do
    kill -INT -- -$group 2>/dev/null || break
    sleep 0.003
  done
  wait $group || code=$?
  # The shell may exit before its stages.
  eventually 10 bash -c "! kill -0 -- -$group"
  echo $code
}

@test "Ctrl-C at any moment leaves nothing" {
  local delay times
  for times in 1 5; do
    for delay in 0.005 0.01 0.015 0.02 0.025 0.03 0.04 0.06 0.2; do
      unlike '^0$' "$(interrupted $delay $times)"
      # The init may get the signal before md-spawn does.
      like '^$|: interrupted|: stopped by a signal|^md-[a-z]+: [a-z]+: no document|^md-spawn: run: receive: ' "$(cat "$dir/err")"
      unlike 'panic|hook|killed|context canceled: *$' "$(cat "$dir/err")"
      clean "$times SIGINT after $delay s: $(cat "$dir/err")"
    done
  done
}
