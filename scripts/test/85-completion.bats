#!/usr/bin/env bats
# Completions by bash that need a look-up: containers, networks, images, files. scripts/test/docs compares options
# and commands with the help.
load lib

setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() { teardown_leakcheck; }

# completed LINE prints bash's completion at the end of the line.
completed() {
  local tool=${1%% *}
  # shellcheck disable=SC2016
  bash --norc -c 'source <("$1" --completion bash); COMP_LINE=$2; COMP_POINT=${#2}; COMP_WORDS=($2)
    "_${1//-/_}" && echo "${COMPREPLY[@]}"' - "$tool" "$1"
}

@test "bash completes container names, or ids if no name matches" {
  local id
  id=$(mydocker run -d --name webbed busybox sleep 100)
  same webbed "$(completed 'mydocker stop w')"
  same webbed "$(completed 'mydocker exec ')"
  same webbed "$(completed 'md-spawn logs -f ')"
  same webbed "$(completed 'md-cgroup freeze ')"
  same "$id" "$(completed "md-rootfs path ${id:0:6}")"
  same '' "$(completed 'mydocker exec webbed ')"
  same webbed "$(completed 'mydocker run --network container:w')"
}

@test "bash completes network names" {
  mydocker network create subnet1
  same subnet1 "$(completed 'mydocker rmn s')"
  same subnet1 "$(completed 'md-net inspect s')"
  same 'mydocker0 subnet1 none host container: ns:' "$(completed 'md-net attach --network ')"
  same subnet1 "$(completed 'mydocker run --net=s')"
}

@test "bash completes images; after a colon only the tag" {
  same busybox:latest "$(completed 'mydocker run --rm b')"
  same busybox:latest "$(completed 'mydocker run -i b')"
  same latest "$(completed 'mydocker rmi busybox:l')"
  same busybox:latest "$(completed 'md-rootfs mount b')"
  same /etc/os-release "$(completed 'md-rootfs mount /etc/os-r')"
}

@test "bash completes files and directories, and names with a space" {
  mkdir "$BATS_TEST_TMPDIR/a dir"
  touch "$BATS_TEST_TMPDIR/a file"
  cd "$BATS_TEST_TMPDIR" || return 1
  same 'a dir a file' "$(completed 'md-spawn run --spec a' | sed 's,a file a dir,a dir a file,')"
  same 'a dir' "$(completed 'md-spawn run --bundle a')"
  like 'a file' "$(completed 'md-cgroup run -- cat ')"
}
