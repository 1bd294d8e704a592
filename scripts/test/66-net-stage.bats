#!/usr/bin/env bats
# md-net attach as a stage: foreign documents, foreign runtimes, and every way to fail.
load lib

setup_file() {
  warm_up busybox
  mkdir -p /run/runc # runc makes it, and lets it stay
}
setup() {
  setup_leakcheck
  cd "$BATS_TEST_TMPDIR" || exit
}
teardown() { teardown_leakcheck; }

# handed_over makes the document `doc`, whose release hook writes a line into `released`.
handed_over() {
  printf '#!/bin/sh\necho released >>%s/released\n' "$PWD" >hook
  chmod 755 hook
  runc spec
  jq --arg hook "$PWD/hook" '.hooks.poststop = [{path: $hook}] | .strange = {"kept": [1, 2.50]}' config.json >doc
  mv config.json original
}

# undone fails unless the document's release hook has run exactly once.
undone() {
  same released "$(cat released 2>/dev/null)"
  rm released
}

@test "a foreign document gets an id, a namespace and a hook, and loses nothing" {
  handed_over
  does md-net attach -p 8084:80 <doc
  same '{"kept":[1,2.50]}' "$(jq -c .strange <<<"$output" | sed 's/2\.5]/2.50]/')"
  local id
  id=$(jq -r '.annotations["mydocker.id"]' <<<"$output")
  like "$id_form" "$id"
  same "/run/mydocker/netns/$id" "$(jq -r '.linux.namespaces[] | select(.type == "network").path' <<<"$output")"
  same "md-net detach $id" "$(jq -r '.hooks.poststop[0].args | join(" ")' <<<"$output")"
  same "$PWD/hook" "$(jq -r '.hooks.poststop[1].path' <<<"$output")"
  # Other fields are unchanged.
  local own='del(.annotations, .hooks, .linux.namespaces, .linux.sysctl)'
  same "$(jq -S "$own" doc)" "$(jq -S "$own" <<<"$output")"
  does md-net detach "$id"
  [[ ! -e released ]]
}

@test "--spec FILE and --bundle DIR read the document, stdin is not touched" {
  handed_over
  local from id
  mkdir b
  cp doc b/config.json
  for from in "--spec doc" "--bundle b"; do
    # shellcheck disable=SC2086 # two words
    does sh -c "echo left | { md-net attach $from >out; cat; }"
    same left "$output"
    id=$(jq -r '.annotations["mydocker.id"]' out)
    same "$(jq .strange doc)" "$(jq .strange out)"
    md-net detach "$id"
  done
  refuses 2 'attach: --spec and --bundle exclude each other' md-net attach --spec doc --bundle b
  refuses 1 'attach: read the document: open nosuch: no such file' md-net attach --spec nosuch
}

@test "after a failure only a document that the options leave on stdin is undone" {
  handed_over
  local options
  while read -r options; do
    # shellcheck disable=SC2086
    run --separate-stderr sh -c "{ md-net attach $options; cat >rest; } <doc"
    [[ -z $output && ${#stderr_lines[@]} == 1 ]] || fail "$options: $output: $stderr"
    [[ ! -e released ]] || fail "$options undid the document on standard input"
    same "$(cat doc)" "$(cat rest)"
  done <<'OPTIONS'
-b /nonexistent
-b/nonexistent
--nonsense -b /nonexistent
--bundle=/nonexistent --nonsense
--nonsense --pid 1
OPTIONS
  for options in '--spec - --nonsense' '-p nonsense --spec=' '--nonsense --alias --pid'; do
    # shellcheck disable=SC2086 # words
    run --separate-stderr md-net attach $options <doc
    undone
  done
}

@test "every way to fail leaves nothing, and the document's release runs" {
  handed_over
  run --separate-stderr md-net attach --nonsense <doc
  same '2 ' "$status $output"
  undone
  busybox nc -l -p 8085 </dev/null 3>&- >/dev/null &
  local nc=$! options
  eventually 5 sh -c 'ss -ltn | grep -q :8085'
  while read -r options; do
    # shellcheck disable=SC2086
    run --separate-stderr md-net attach $options <doc
    [[ $status != 0 && -z $output && ${#stderr_lines[@]} == 1 ]] || fail "$options: $status: $output: $stderr"
    undone
  done <<'OPTIONS'
--network nosuch
--network mydocker0 --network nosuch -p 8086:80
-p 8085:80
-p 8086:80 -p 8086:81
-p nonsense
--network container:nosuch
--network ns:/etc/passwd
--id 0123456789ab
OPTIONS
  kill $nc
  run --separate-stderr env MYDOCKER_ROOT=relative md-net attach <doc
  same '1 ' "$status $output"
  undone
  # Nothing reads the document.
  run --separate-stderr sh -c 'md-net attach <doc >/dev/full'
  same 1 "$status"
  undone
  # The stage before failed, or wrote something else.
  refuses 1 'no document on standard input' md-net attach </dev/null
  refuses 1 'not an OCI config.json' md-net attach <<<'no JSON'
  refuses 1 'ociVersion "2.0.0": only 1.x is understood' md-net attach <<<'{"ociVersion": "2.0.0"}'
}

@test "a signal while it waits for the document: it still undoes the document" {
  handed_over
  mkfifo pipe
  md-net attach <pipe >out 3>&- &
  local stage=$! code=0
  exec 9>pipe
  eventually 5 grep -q 'md-net' "/proc/$stage/comm"
  sleep 0.3
  kill -TERM $stage
  sleep 0.2
  cat doc >&9
  exec 9>&-
  wait $stage || code=$?
  [[ $code != 0 && ! -s out ]] || fail "exit $code: $(cat out)"
  undone
}

@test "runc as the last stage: a published port answers, and its hooks clean up" {
  local _
  "$BATS_TEST_DIRNAME/../busybox-layout" image
  mkdir b
  umoci unpack --image image:latest bundle >/dev/null
  for _ in 1 2; do
    (cd b && rm -f config.json && runc spec)
    jq --arg root "$PWD/bundle/rootfs" '.process.terminal = false | .process.args = ["httpd", "-f", "-p", "80", "-h", "/var/www"] |
      .process.capabilities.bounding += ["CAP_NET_BIND_SERVICE"] | .root.path = $root' b/config.json |
      md-net attach -p 8087:80 >b/document
    mv b/document b/config.json
    runc run -b b netbox </dev/null 3>&- >log 2>&1 &
    local runc=$!
    eventually 10 curl -fs http://127.0.0.1:8087/ || fail "$(cat log)"
    same 'hello from busybox' "$(ip netns exec other curl -fsS -m 5 http://198.51.100.1:8087/)"
    runc kill netbox KILL
    wait $runc || true
  done
}
