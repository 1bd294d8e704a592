#!/usr/bin/env bats
# Test hosts (scripts/test/ring): they do not depend on the real host, and leave nothing, even when killed.
# Also the scripts that run the tests: all, mutate, sources.
load lib

setup_file() {
  export ring=$BATS_TEST_DIRNAME/ring
}
setup() {
  [[ -n ${VM-} ]] || setup_leakcheck # too slow in the VM
  dir=$BATS_TEST_TMPDIR
}
teardown() {
  ip netns del odd 2>/dev/null || true
  rm -rf "${foreign-}" "${link-}"
  [[ -n ${VM-} ]] || teardown_leakcheck
}

# sysctls prints the sysctls that a network namespace inherits.
sysctls() {
  local file
  for file in /proc/sys/net/ipv4/{ip_forward,ip_unprivileged_port_start,ping_group_range,conf/{all,default,lo}/*} \
    /proc/sys/net/ipv6/conf/{all,default,lo}/*; do
    [[ $file == */stable_secret || $file == */mtu ]] || echo "$file $(cat "$file" 2>/dev/null)"
  done
}

# bats test_tags=vm
@test "a ring does not route or filter packets, whatever its host does" {
  local tell='cd /proc/sys/net/ipv4; grep -vx 0 ip_forward conf/{all,default,lo}/{forwarding,rp_filter,arp_ignore,arp_announce,route_localnet,proxy_arp}'
  run -1 bash -c "$tell"
  run -1 ip netns exec other bash -c "$tell"
  run -1 "$ring" --plain bash -c "$tell"
  same '' "$output"
}

@test "network sysctls have fixed values, whatever the host's are" {
  local file
  declare -f sysctls >"$dir/sysctls"
  echo sysctls >>"$dir/sysctls"
  "$ring" --plain bash -c "$(cat "$dir/sysctls")" >"$dir/want"
  (($(wc -l <"$dir/want") > 200))
  ip netns add odd
  ip netns exec odd bash -c 'for file in /proc/sys/net/ipv4/{ip_forward,conf/{all,default,lo}/*} /proc/sys/net/ipv6/conf/{all,default,lo}/*; do
    [[ $file == */stable_secret || $file == */mtu || ! -w $file ]] || echo $((! $(cat "$file"))) >"$file" || true
  done 2>/dev/null; echo 80 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
  run diff "$dir/want" <(ip netns exec odd bash "$dir/sysctls")
  ((${#lines[@]} > 100)) || fail "little was changed: $output"
  ip netns exec odd ip link set lo up
  ip netns exec odd "$ring" --settle
  diff "$dir/want" <(ip netns exec odd bash "$dir/sysctls")
}

# surroundings prints the attributes of a process that it inherits from its parent.
surroundings='
  umask; ulimit -Sn; ulimit -Sc; ulimit -Ss; pwd | sed "s,/ring-......,,"; hostname
  env | grep -vE "^(_|PWD|SHLVL|OLDPWD|PATH|XDG_CACHE_HOME|TMPDIR|HOME)=" | sort
  grep -E "^Sig(Ign|Blk)" /proc/self/status; for fd in /proc/$$/fd/*; do echo "${fd##*/}"; done
  cat /proc/self/cgroup; ls -A /run /dev/shm; ls /proc | grep -c "^[0-9]"'

@test "a ring inherits no environment, umask, limits, signals, descriptors or locale" {
  "$ring" --plain bash -c "$surroundings" >"$dir/want" </dev/null
  like $'\nTERM=xterm\n' "$(cat "$dir/want")"
  sleep 100 3>&- & # a process outside the ring
  (
    umask 077
    ulimit -S -n 200
    ulimit -S -s 4096
    trap '' INT HUP PIPE TERM QUIT
    exec 8</dev/null 9>/dev/shm/mine
    export MYDOCKER_ROOT=/x MYDOCKER_RUN=/y MYDOCKER_LOG=debug DOCKER_HOST=tcp://1.2.3.4 CONTAINERS_CONF=/none http_proxy=http://127.0.0.1:1 \
      HTTPS_PROXY=http://127.0.0.1:1 XDG_RUNTIME_DIR=/none XDG_CONFIG_HOME=/none NO_COLOR=1 TERM=strange LC_ALL=tr_TR.UTF-8 LANGUAGE=tr TZ=Asia/Tokyo \
      BASH_ENV=/none CDPATH=/ NOTIFY_SOCKET=/none LISTEN_FDS=1 POSIXLY_CORRECT=1
    exec "$ring" --plain bash -c "$surroundings"
  ) </dev/zero >"$dir/got"
  rm -f /dev/shm/mine
  kill %%
  diff "$dir/want" "$dir/got"
}

@test "standard input may be closed, endless or a terminal" {
  local tell='readlink /proc/self/fd/0; ls /proc/self/fd | wc -l'
  same $'/dev/null\n4' "$("$ring" --plain sh -c "$tell" <&-)"
  same $'/dev/zero\n4' "$("$ring" --plain sh -c "$tell" </dev/zero)"
  same input "$(echo input | "$ring" --plain cat)"
  like $'^/dev/pts/[0-9]+' "$(script -qec "'$ring' --plain readlink /proc/self/fd/0" /dev/null </dev/null)"
  same /dev/null "$(readlink /proc/self/fd/0)" # standard input of a test
}

@test "a ring returns exit codes and passes signals on" {
  run -7 "$ring" --plain sh -c 'exit 7'
  run -2 --separate-stderr "$ring" --plain sh -c 'exit 2'
  local pid code=0 before
  rings() { find /var/tmp /sys/fs/cgroup -maxdepth 2 -name 'ring-*' -not -path '*/ring-*/*' | sort; }
  before=$(rings)
  "$ring" --plain sleep 4711 3>&- &
  pid=$!
  eventually 10 pgrep -xf 'sleep 4711'
  kill -TERM "$pid"
  wait "$pid" || code=$?
  same 143 "$code"
  eventually 5 sh -c '! pgrep -xf "sleep 4711"'
  same "$before" "$(rings)"
}

# killed_ring starts a ring with cgroups, files and a loop device, and kills it. Sets $dead, its name, and $device.
killed_ring() {
  local pid
  "$ring" --plain bash -c 'truncate -s 16M /tmp/disk && losetup --find --show /tmp/disk && mkdir $(dirname $(ls /sys/fs/cgroup/*/cgroup.procs | head -1))/of-mine
    ip netns add mine; pwd; exec sleep 4712' >"$dir/said" 3>&- &
  pid=$!
  eventually 10 grep -q src "$dir/said"
  device=$(head -n 1 "$dir/said")
  dead=$(sed -n 's,.*/\(ring-......\)/src$,\1,p' "$dir/said")
  eventually 10 pgrep -xf 'sleep 4712'
  kill -9 "$pid"
  wait "$pid" || true
  eventually 5 sh -c '! pgrep -xf "sleep 4712"'
  [[ -n $device && -n $dead ]]
}

@test "a ring removes what a killed ring left, and nothing of a running one" {
  local device dead pid
  "$ring" --plain sleep 4713 3>&- &
  pid=$!
  killed_ring
  [[ -d /var/tmp/$dead && -n $(find /sys/fs/cgroup -maxdepth 2 -name "$dead") ]]
  losetup "$device"
  echo bfq >"/sys/block/${device#/dev/}/queue/scheduler" || true
  "$ring" --plain true
  [[ ! -e /var/tmp/$dead && -z $(find /sys/fs/cgroup -maxdepth 2 -name "$dead") ]]
  run ! losetup "$device"
  unlike '\[bfq\]' "$(cat "/sys/block/${device#/dev/}/queue/scheduler")"
  pgrep -xf 'sleep 4713'
  kill "$pid"
  wait "$pid" || true
}

@test "a directory of another user in /var/tmp or a symbolic link is not taken for a ring" {
  foreign=$(setpriv --reuid=65534 --regid=65534 --clear-groups mktemp -d /var/tmp/ring-XXXXXX) link=$(mktemp -u /var/tmp/ring-XXXXXX)
  ln -s "$dir" "$link"
  "$ring" --plain true
  [[ -d $foreign && -L $link && -d $dir ]]
}

# checkout DIR makes a checkout with the given parts.
checkout() {
  mkdir -p "$1/scripts/test"
  cp "$BATS_TEST_DIRNAME"/{all,sources} "$1/scripts/test/"
  printf '%s:\n\t@%s\n' good 'echo fine' counts 'echo 3 passed, 0 failed, 2 skipped' bad 'echo 4 passed, 1 failed, 0 skipped; exit 1' \
    broken 'echo oops; exit 3' slow 'echo begun; sleep 4714' lies 'echo 9 passed, 0 failed, 0 skipped; exit 1' >"$1/Makefile"
  echo module x >"$1/go.mod"
}

@test "make test runs each part even if others fail, and ends with a summary" {
  checkout "$dir/a b"
  ALL_SECONDS=4 run -1 "$dir/a b/scripts/test/all" good broken counts bad slow lies good
  like 'good +[0-9]+ s  passed' "$output"
  like 'broken +[0-9]+ s  FAILED \(exit code 2\)' "$output"
  like "slow +[0-9]+ s  FAILED: its 4 s ran out" "$output"
  like $'\noops\n.*\nbegun\n' "$output"
  same '18 passed, 4 failed, 2 skipped' "${lines[-1]}"
  run -0 "$dir/a b/scripts/test/all" good counts
  same '4 passed, 0 failed, 2 skipped' "${lines[-1]}"
}

@test "a killed make test ends its processes; two in one checkout run one after the other" {
  local pid
  checkout "$dir/tree"
  printf 'test:\n\tscripts/test/all slow good\n' >>"$dir/tree/Makefile"
  make -s -C "$dir/tree" test >"$dir/out" 2>&1 3>&- &
  pid=$!
  eventually 10 pgrep -xf 'sleep 4714'
  "$dir/tree/scripts/test/all" good >"$dir/second" 2>&1 3>&- &
  eventually 5 grep -q 'wait for another run' "$dir/second"
  kill -9 "$pid"
  wait "$pid" || true
  eventually 10 sh -c '! pgrep -xf "sleep 4714"'
  wait %%
  same '1 passed, 0 failed, 0 skipped' "$(tail -n 1 "$dir/second")"
}

@test "sources copies checkouts of another user, worktrees, archives, deleted files, and works in a git hook" {
  local git=(git -c user.name=x -c user.email=x@y -c safe.directory='*') want=$'./Makefile\n./go.mod\n./scripts/test/all\n./scripts/test/sources\n./untracked file'
  checkout "$dir/tree"
  sources() { (umask 077 && "$1/scripts/test/sources" "$dir/copy") && (cd "$dir/copy" && find . -type f | sort) && rm -rf "$dir/copy"; }
  touch "$dir/tree/untracked file"
  same "$want" "$(sources "$dir/tree")"
  "${git[@]}" init -q "$dir/tree"
  "${git[@]}" -C "$dir/tree" add .
  "${git[@]}" -C "$dir/tree" commit -q -m one
  "${git[@]}" -C "$dir/tree" worktree add -q -b second "$dir/second tree"
  same "$want" "$(GIT_DIR=/none GIT_INDEX_FILE=/none sources "$dir/second tree")"
  rm "$dir/tree/go.mod" && echo module x >"$dir/tree/go.mod" && touch "$dir/tree/gone"
  "${git[@]}" -C "$dir/tree" add gone
  rm "$dir/tree/gone"
  chown -R 65534 "$dir/tree"
  same "$want" "$(sources "$dir/tree")"
}
