# shellcheck shell=bash
# What the end-to-end tests share. They run inside scripts/test/ring, so names, ports and /var/lib/mydocker
# are theirs.
bats_require_minimum_version 1.5.0
# Whatever the standard input of the tests is, what they run has an empty one, or its own.
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

# does COMMAND... succeeds and says nothing on stderr; $output is what it says on stdout.
does() {
  run --separate-stderr "$@"
  [[ $status == 0 && -z $stderr ]] || fail "$*: exit $status" "stdout: $output" "stderr: $stderr"
}

# refuses CODE REGEX COMMAND... : that exit code, nothing on stdout, one line on stderr that names the
# tool and matches, and perhaps a hint on a second line.
refuses() {
  complains "$@"
  [[ -z $output ]] || fail "${*:3}: stdout: $output"
}

# complains is the same where something was printed before it went wrong.
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

# eventually SECONDS COMMAND... : it succeeds before that. (Callers may say ||, so set -e cannot be relied on.)
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || { fail "still not: $*"; return 1; }
    sleep 0.1
  done
}

# cells prints a table with a tab between cells: cells are at least three blanks apart.
cells() { sed -E 's/ {3,}/\t/g; s/ +$//'; }

# address CONTAINER prints its address on the default network.
address() {
  mydocker exec "$1" ip -o -4 addr | sed -nE 's,.* (10\.20\.30\.[0-9]+)/24 .*,\1,p'
}

# What a file needs once: the images, and the default network, which stays once it is made. After that
# every test has to leave the host as it found it.
warm_up() {
  local image
  for image; do
    mydocker pull "$image" >/dev/null
  done
  mydocker run --rm --name warm -v /warm --entrypoint true "$1"
}

# What there was before a test of a file is what there was before the first: each test left it so, or failed.
setup_leakcheck() {
  first_look=$BATS_FILE_TMPDIR/before
  [[ -e $first_look ]] || "$leakcheck" snapshot "$first_look"
}

# What a failed test leaves must not make the next one fail.
teardown_leakcheck() {
  local id network
  for id in $(mydocker ps -q); do
    mydocker rm -f -v "$id" >/dev/null
  done
  for network in $(mydocker networks | awk 'NR > 1 && $1 != "mydocker0" {print $1}'); do
    mydocker rmn "$network" >/dev/null
  done
  # runc and crun leave their own empty directories.
  nothing_left '^[+-] files /run/(runc|crun)$'
}

# nothing_left [ALLOWED] blames what is left on this test, and on none after it.
nothing_left() {
  "$leakcheck" compare "$first_look" "$@" || {
    rm "$first_look"
    return 1
  }
}

# make_disk makes a block device whose users share it by weight, and says where: $disk.
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
