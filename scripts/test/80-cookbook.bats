#!/usr/bin/env bats
# doc/cookbook.md, and the examples of the tools' pages: each test runs the code below the heading that is its
# name, in a directory with a Makefile and a page, and compares its output with the block that follows.
load lib

top=$BATS_TEST_DIRNAME/../..

setup_file() { warm_up busybox; }
setup() {
  rm -rf /run/runc
  setup_leakcheck
  mkdir "$BATS_TEST_TMPDIR/here"
  cd "$BATS_TEST_TMPDIR/here" || return 1
  echo 'a page of this directory' >index.html
  printf 'all:\n\t@cat /proc/self/cgroup\n' >Makefile
}
teardown() {
  rm -rf /var/lib/mydocker/volumes/data{,2} /run/runc
  teardown_leakcheck
}

# block FILE HEADING LANGUAGE prints the code of that language below the heading.
block() {
  awk -v heading="$2" -v fence="\`\`\`$3" '
    /^```/ { open = !open; inside = open && ours && $0 == fence; next }
    !open && /^##/ { ours = $0 == heading }
    inside { print }' "$1"
}

# prints FILE HEADING runs the code, and compares its output with the expected one below it.
prints() {
  local code want
  code=$(block "$@" sh)
  [[ -n $code ]] || fail "nothing to run below $2 in $1"
  run --separate-stderr bash -eu -o pipefail -c "$code" </dev/null
  [[ $status == 0 ]] || fail "exit $status" "$output" "$stderr"
  want=$(block "$@" '')
  [[ -z $want ]] || matches "$want" "$output"
}
recipe() { prints "$top/doc/cookbook.md" "## $BATS_TEST_DESCRIPTION"; }
examples() { prints "$top/$BATS_TEST_DESCRIPTION" '## Examples'; }

# matches WANT GOT: ...... in WANT matches any text, also none.
matches() {
  local pattern
  pattern=$(sed 's/[][\\*?()|+@!]/\\&/g; s/\.\.\.\.\.\./*/g' <<<"$1")
  # shellcheck disable=SC2053 # a pattern it is
  [[ $2 == $pattern ]] || fail "want: $1" "got:  $2"
}

@test "the recipes and the tests here are the same" {
  same "$(sed -n "s/^## //p" "$top/doc/cookbook.md" | sort)" \
    "$(sed -nE 's/^@test "(.*)" \{ recipe; .*/\1/p' "$BATS_TEST_FILENAME" | sort)"
  same "$(cd "$top" && printf '%s\n' cmd/*/README.md)" \
    "$(sed -nE 's/^@test "(.*)" \{ examples; .*/\1/p' "$BATS_TEST_FILENAME" | sort)"
}

@test "Limit a build" { recipe; }
@test "A throw-away shell with the current directory mounted" { recipe; }
@test "Serve a directory" { recipe; }
@test "A container without network" { recipe; }
@test "Two containers share a network" { recipe; }
@test "Sniff a container's traffic" { recipe; }
@test "Grep an image without running it" { recipe; }
@test "A directory or an archive as the root" { recipe; }
@test "Look at one layer" { recipe; }
@test "Copy an image from one form to another" { recipe; }
@test "What a container changed" { recipe; }
@test "Edit the document on the way" { recipe; }
@test "Run under runc or crun" { recipe; }
@test "Try a stage again" { recipe; }
@test "From a run to a script" { recipe; }
@test "Give a network to a VM, or to any process" { recipe; }
@test "Connect what speaks CNI" { recipe; }
@test "More memory while it runs" { recipe; }
@test "Follow the logs of two containers" { recipe; }
@test "Which containers failed" { recipe; }
@test "Save a volume, and bring it back" { recipe; }
@test "What it does to the kernel" { recipe; }

@test "cmd/md-cgroup/README.md" { examples; }
@test "cmd/md-net/README.md" { examples; }
@test "cmd/md-ps/README.md" { examples; }
@test "cmd/md-pull/README.md" { examples; }
@test "cmd/md-rootfs/README.md" { examples; }
@test "cmd/md-spawn/README.md" { examples; }
@test "cmd/mydocker/README.md" { examples; }
