#!/usr/bin/env bats
# Registries that lie, stall, reset and delay (scripts/liar), killed pulls, and pulls in parallel.
load lib

setup() {
  setup_leakcheck
  export MYDOCKER_ROOT=$BATS_TEST_TMPDIR/root MYDOCKER_RUN=$BATS_TEST_TMPDIR/run
  log=$BATS_TEST_TMPDIR/log
}
teardown() {
  stop_liar
  unset MYDOCKER_ROOT MYDOCKER_RUN
  teardown_leakcheck
}

# behind FAULT [N] starts the liar in front of the registry; $image is busybox there.
behind() {
  "$BATS_TEST_DIRNAME/../../build/tools/liar" "$TESTBED_REGISTRY" "$log" "$@" >"$BATS_TEST_TMPDIR/address" 3>&- &
  echo $! >"$BATS_TEST_TMPDIR/liar"
  eventually 10 test -s "$BATS_TEST_TMPDIR/address"
  image=$(cat "$BATS_TEST_TMPDIR/address")/library/busybox:latest
}

stop_liar() {
  [[ ! -s $BATS_TEST_TMPDIR/liar ]] || kill "$(cat "$BATS_TEST_TMPDIR/liar")"
  rm -f "$BATS_TEST_TMPDIR"/{liar,address}
}

# answers prints the number of answers for the layer, sent the number of bytes.
answers() { awk '/blobs/ && $2 > 10000 || /blobs/ && $1 >= 400' "$log" | wc -l; }
answered() { [[ $(answers) == "$1" ]]; }
sent() { awk '/blobs/ && $2 > 10000 {n += $2} END {print n + 0}' "$log"; }

# whole compares the store with the registry and runs the image.
whole() {
  local blob size=0
  for blob in "$MYDOCKER_ROOT"/images/blobs/sha256/*; do
    same "${blob##*/}" "$(sha256sum "$blob" | cut -d' ' -f1)"
    size=$((size > $(stat -c %s "$blob") ? size : $(stat -c %s "$blob")))
  done
  same '' "$(find "$MYDOCKER_ROOT" -name '.tmp-*')"
  layer=$size
}

@test "a reset, short or delayed answer is completed, and hardly any byte is fetched twice" {
  local fault
  for fault in reset cut busy limit; do
    : >"$log"
    rm -rf "$MYDOCKER_ROOT"
    behind "$fault"
    run -0 --separate-stderr md-pull -q "$image"
    whole
    same 2 "$(answers)"
    (($(sent) * 100 < layer * 105 + 6553600)) || fail "$fault: $(sent) bytes were sent for $layer"
    case $fault in
      busy | limit) like 'waiting 1s$' "$stderr" ;;
      *) same '' "$stderr" ;;
    esac
    stop_liar
  done
}

@test "a wrong byte is fetched again; after three tries the pull fails and keeps nothing" {
  behind wrong
  does md-pull -q "$image"
  whole
  same 2 "$(answers)"
  stop_liar
  rm -rf "$MYDOCKER_ROOT" "$log"
  behind wrong 0
  refuses 1 'content has digest sha256:' md-pull -q "$image"
  same 3 "$(answers)"
  same '' "$(find "$MYDOCKER_ROOT/layers" -mindepth 1)"
  same '' "$(find "$MYDOCKER_ROOT/images" -size +60k)"
}

@test "after a pull is killed within a layer, the next pull fetches the rest" {
  behind stall
  md-pull -q "$image" >/dev/null 3>&- &
  local pull=$!
  eventually 20 sh -c "find $MYDOCKER_ROOT/images -name '.tmp-*' -size +300k | grep -q ."
  does mydocker system check # a running pull is no orphan
  same '' "$output"
  kill -9 "$pull"
  wait "$pull" || true
  # The part is kept and listed as such: it is no fault. A repair and the pull of another image keep it.
  run -0 --separate-stderr mydocker system check --fix # removes the layer that was being unpacked
  does mydocker system check
  like "^blob $MYDOCKER_ROOT/images/blobs/sha256/.tmp-[0-9a-f]{64}: kept for a day, so that a pull can resume" "$output"
  does md-pull -q "$TESTBED_REGISTRY/library/zstd:latest"
  eventually 1 sh -c "find $MYDOCKER_ROOT/images -name '.tmp-*' -size +300k | grep -q ."
  eventually 5 answered 1 # the registry writes its log when it notices the closed connection
  : >"$log"
  does md-pull -q "$image"
  whole
  same 1 "$(answers)"
  (($(sent) < layer * 60 / 100)) || fail "$(sent) bytes were sent for the half of $layer"
}

@test "after a pull is killed within a layer, prune removes the part" {
  behind stall
  md-pull -q "$image" >/dev/null 3>&- &
  local pull=$!
  eventually 20 sh -c "find $MYDOCKER_ROOT/images -name '.tmp-*' -size +300k | grep -q ."
  does mydocker system prune
  same '' "$output"
  kill -9 "$pull"
  wait "$pull" || true
  does mydocker system prune
  like 'blob .*/.tmp-' "$output"
  same '' "$(find "$MYDOCKER_ROOT" -name '.tmp-*')"
  does mydocker system check
  same '' "$output"
}

@test "Ctrl-C ends a pull that waits for the network or for another pull, before the stall time-out" {
  behind stall 0
  md-pull -q "$image" >/dev/null 2>"$BATS_TEST_TMPDIR/first" 3>&- &
  local first=$!
  eventually 20 sh -c "find $MYDOCKER_ROOT/images -name '.tmp-*' -size +300k | grep -q ."
  md-pull -q "$image" >/dev/null 2>"$BATS_TEST_TMPDIR/second" 3>&- &
  local second=$! begun=$SECONDS
  sleep 0.3
  kill -INT "$second"
  wait "$second" && fail 'the second went on'
  kill -INT "$first"
  wait "$first" && fail 'the first went on'
  ((SECONDS - begun < 20)) || fail "it took $((SECONDS - begun)) s"
  like 'interrupted$' "$(cat "$BATS_TEST_TMPDIR/first")"
  like 'interrupted$' "$(cat "$BATS_TEST_TMPDIR/second")"
}

@test "twenty parallel pulls fetch each blob once" {
  behind none
  local pulls=() pull
  for _ in {1..20}; do
    md-pull -q "$image" >/dev/null 3>&- &
    pulls+=($!)
  done
  for pull in "${pulls[@]}"; do
    wait "$pull"
  done
  whole
  same '' "$(awk '/blobs/ {print $4}' "$log" | sort | uniq -d)"
}

@test "blobs, layers and the index are synced to disk before they are visible" {
  behind none
  strace -f -y -qq -e trace=fsync,syncfs,rename,renameat,renameat2 -e signal=none -o "$BATS_TEST_TMPDIR/trace" md-pull -q "$image" >/dev/null
  # Each rename must follow a sync of its content. A layer's marker follows a sync of the whole file system,
  # a blob is synced itself, and the index is last.
  local order
  order=$(sed -nE '
    s/^[0-9]+ +(<\.\.\. )?(fsync|syncfs).* = 0$/\2/p
    s,^[0-9]+ +rename.*/blobs/sha256/[0-9a-f]{64}.*,blob,p
    s,^[0-9]+ +rename.*layer\.json.*,marker,p
    s,^[0-9]+ +rename.*/layers/[0-9a-f]{64}".*,layer,p
    s,^[0-9]+ +rename.*/images/index\.json.*,index,p' "$BATS_TEST_TMPDIR/trace" | tr '\n' ' ')
  like 'fsync blob .*syncfs fsync marker fsync layer .*syncfs .*fsync blob .*fsync index fsync $' "$order"
}
