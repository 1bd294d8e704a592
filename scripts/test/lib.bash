# shellcheck shell=bash
# Functions of the end-to-end tests. They run inside scripts/test/ring, so names, ports and /var/lib/mydocker
# are theirs.
bats_require_minimum_version 1.5.0
# Commands get an empty standard input, or one of their own, whatever the tests' is.
exec </dev/null

leakcheck=$BATS_TEST_DIRNAME/../leakcheck
# shellcheck disable=SC2034 # for those who load this
time_form='[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}'
# shellcheck disable=SC2034
id_form='^[0-9a-f]{12}$'

fail() {
  printf '%s\n' "$@" >&2
  return 1
}

# same WANT GOT
same() {
  [[ $1 == "$2" ]] || fail "want: $1" "got:  $2"
}

# like REGEX TEXT
like() {
  [[ $2 =~ $1 ]] || fail "want: $1" "got:  $2"
}

# unlike REGEX TEXT
unlike() {
  [[ ! $2 =~ $1 ]] || fail "do not want: $1" "got: $2"
}

# does COMMAND... succeeds without output on stderr; $output is its stdout.
does() {
  run --separate-stderr "$@"
  [[ $status == 0 && -z $stderr ]] || fail "$*: exit $status" "stdout: $output" "stderr: $stderr"
}

# refuses CODE REGEX COMMAND... fails with that exit code, nothing on stdout, and one line on stderr that names the
# tool and matches, optionally followed by a hint.
refuses() {
  complains "$@"
  [[ -z $output ]] || fail "${*:3}: stdout: $output"
}

# complains is refuses for a command that prints something before it fails.
complains() {
  local code=$1 pattern=$2
  shift 2
  run "-$code" --separate-stderr "$@"
  like '^(mydocker|md-[a-z]+)[: ]' "${stderr_lines[0]}"
  like "$pattern" "${stderr_lines[0]}"
  unlike 'failed to|panic|goroutine' "$stderr"
  [[ ${#stderr_lines[@]} == 1 || (${#stderr_lines[@]} == 2 && ${stderr_lines[1]} == 'hint: '*) ]] ||
    fail "$*: more than a line and a hint: $stderr"
}

# eventually SECONDS COMMAND... retries until it succeeds. (Callers may use ||, so set -e is not reliable.)
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || { fail "still not: $*"; return 1; }
    sleep 0.1
  done
}

# cells prints a table with tabs between cells, which are at least three spaces apart.
cells() { sed -E 's/ {3,}/\t/g; s/ +$//'; }

# address CONTAINER prints its address on the default network.
address() {
  mydocker exec "$1" ip -o -4 addr | sed -nE 's,.* (10\.20\.30\.[0-9]+)/24 .*,\1,p'
}

# is CONTAINER STATUS
is() { [[ $(mydocker ps -f "name=$1" --format '{{.Status}}') == "$2" ]]; }

# monitor CONTAINER prints the pid of its monitor.
monitor() { jq .monitor.pid "/run/mydocker/$(mydocker ps -aq -f "name=$1")/state.json"; }

# cgroups prints where a hierarchy of cgroups is mounted.
cgroups() { awk '$0 ~ / - cgroup2? / {print $5; exit}' /proc/self/mountinfo; }

# warm_up IMAGE... prepares what a file needs: the images, and the default network, which stays. After that
# every test must leave the host as it found it.
warm_up() {
  local image
  for image; do
    mydocker pull "$image" >/dev/null
  done
  mydocker run --rm --name warm -v /warm --entrypoint true "$1"
}

# The first snapshot of a file serves all its tests: each test restores the state or fails.
setup_leakcheck() {
  first_look=$BATS_FILE_TMPDIR/before
  [[ -e $first_look ]] || "$leakcheck" snapshot "$first_look"
}

# Leftovers of a failed test must not make the next one fail.
teardown_leakcheck() {
  local id network
  for id in $(mydocker ps -q); do
    mydocker rm -f -v "$id" >/dev/null
  done
  for network in $(mydocker networks | awk 'NR > 1 && $1 != "mydocker0" {print $1}'); do
    mydocker rmn "$network" >/dev/null
  done
  # runc and crun leave their empty directories.
  nothing_left '^[+-] files /run/(runc|crun)$'
}

# nothing_left [ALLOWED] fails this test for leftovers, and not the next ones.
nothing_left() {
  "$leakcheck" compare "$first_look" "$@" || {
    rm "$first_look"
    return 1
  }
}

# make_disk creates a block device with the bfq scheduler, $disk.
make_disk() {
  truncate -s 64M "$BATS_FILE_TMPDIR/disk"
  disk=$(losetup --find --show "$BATS_FILE_TMPDIR/disk")
  export disk
  echo bfq >"/sys/block/${disk#/dev/}/queue/scheduler"
}
remove_disk() {
  echo none >"/sys/block/${disk#/dev/}/queue/scheduler"
  losetup --detach "$disk"
}
