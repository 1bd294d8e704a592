#!/usr/bin/env bats
# Attacks by a container, an image or a caller, one class per test. Those that need a race or a special document
# are in lib/spawn, those of images in lib/image, those of networks in lib/network.
load lib

setup_file() {
  warm_up busybox odd
  export root=$BATS_FILE_TMPDIR/root
  mkdir -p "$root"/{dev,etc,mnt,proc,sys}
  cp build/tools/probe "$root"
  printf '#!/proc/self/exe\n' >"$root/mirror"
  chmod 755 "$root/mirror"
}
setup() {
  setup_leakcheck
  dir=$BATS_TEST_TMPDIR
}
teardown() { teardown_leakcheck; }

programs() { sha256sum bin/*; }

@test "a container cannot overwrite the programs that start it" {
  local before id
  before=$(programs)
  # The attacker is the container's own program; exec would keep md-spawn from being written to.
  id=$(mydocker run -d --net none "$root" /probe overwrite)
  for _ in {1..20}; do
    # /proc/self/exe is the program that is about to become this script: it would run inside, visible to the container.
    mydocker exec "$id" /mirror >/dev/null 2>&1 || true
  done
  eventually 20 grep -q seen "/var/lib/mydocker/containers/$id/log"
  like 'seen [1-9][0-9]* written 0$' "$(mydocker logs "$id")"
  same "$before" "$(programs)"
}

@test "release agents, core patterns and other kernel helpers are out of reach" {
  run mydocker run --rm --net none busybox sh -c '
    find /sys/fs/cgroup -name release_agent | while read -r f; do (echo /x >"$f") 2>/dev/null && echo "wrote $f"; done
    find /sys/fs/cgroup -name notify_on_release | while read -r f; do (echo 1 >"$f") 2>/dev/null && echo "wrote $f"; done
    for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sysrq-trigger /sys/kernel/uevent_helper; do
      (echo x >"$f") 2>/dev/null && echo "wrote $f"; done
    mkdir /tmp/c; mount -t cgroup -o pids none /tmp/c 2>/dev/null && echo "mounted a hierarchy"
    mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo "remounted"
    echo end'
  same end "$output"
}

@test "a node of the host's disk can be created but not read" {
  local numbers
  numbers=$(lsblk -dno MAJ:MIN 2>/dev/null | head -1 | tr ':' ' ')
  run mydocker run --rm --net none busybox sh -c "mknod /disk b ${numbers:-8 0} && head -c 1 /disk >/dev/null"
  same 1 "$status"
  like 'perm' "${output,,}"
}

@test "input into the terminal of a container stays in the container" {
  script -qec "mydocker run --rm --net none -t '$root' /probe tiocsti; mydocker run --rm --net none --tty=false --interactive '$root' /probe tiocsti
    read -r -t 1 line; echo \"line=<\$line>\"" /dev/null </dev/null >"$dir/out" || true
  like 'line=<>' "$(cat "$dir/out")"
  # Without -t the container has a pipe and no access to the caller's terminal.
  same '/dev/tty: No such device or address' "$(script -qec \
    "mydocker run --rm --net none --tty=false busybox sh -c 'echo x >/dev/tty' 2>&1 | sed 's/.*create //; s/.*open //'" /dev/null </dev/null | tr -d '\r')"
}

@test "rm does not follow symbolic links out of the container's directory" {
  mkdir -p "$dir/host/sub"
  echo precious | tee "$dir/host/file" >"$dir/host/sub/file"
  mydocker run --name box --net none -v /vol busybox sh -c "
    ln -s $dir/host /link; ln -s $dir/host /vol/link; rm -rf /var/www && ln -s $dir/host /var/www
    mkdir -p /a/b/c && ln -s /../../../../../../../$dir/host/sub /a/b/c/up"
  mydocker rm -v box >/dev/null
  mydocker run --name box --net none -s vfs busybox ln -s "$dir/host" /tmp/link
  mydocker rm -v box >/dev/null
  same "$(printf 'precious\nprecious')" "$(cat "$dir/host/file" "$dir/host/sub/file")"
}

@test "a volume or working directory behind a link of the image stays inside the root" {
  mkdir -p "$dir/tree"/{bin,dev,proc,sys} "$dir/host" "$dir/tree/$dir/host"
  cp "$(command -v busybox)" "$dir/tree/bin/busybox"
  ln -s busybox "$dir/tree/bin/sh"
  ln -s "$dir/host" "$dir/tree/out"
  ln -s "../../../../../../..$dir/host" "$dir/tree/up"
  does mydocker run --rm --net none -v /out/vol -v /up/vol -w /out/cwd --tmpfs /up/tmp "$dir/tree" sh -c 'echo x >/out/vol/x; echo x >/up/vol/x; echo ran'
  same ran "$output"
  same '' "$(ls "$dir/host")"
  for cwd in /proc/self/fd/3 /proc/self/fd/5/../.. /proc/1/root/../..; do
    run mydocker run --rm --net none -w "$cwd" busybox ls
    unlike 'lib64|boot' "$output"
  done
}

@test "user ids that the kernel cannot represent are refused" {
  local user
  for user in 4294967296 4294967295 -1 +1 1:4294967296 1:-1 99999999999999999999 nosuch 0:nosuch ':' $'root\n'; do
    refuses 125 '(user|group)' mydocker run --rm --net none -u "$user" busybox id
  done
  same 'uid=5 gid=7 groups=7' "$(mydocker run --rm --net none -u 5:7 busybox id)"
}

@test "ids and names cannot be paths" {
  local bad long
  long=$(printf 'n%.0s' {1..300})
  for bad in ../x ../../etc /etc . .. 'a b' $'a\nb' '' "$long" '-' 'a/../b' 'ä'; do
    refuses 125 'name' mydocker run --name "$bad/" --rm --net none busybox true
    [[ -z $bad ]] || refuses 125 'name|want' mydocker run --name="$bad" --rm --net none busybox true
    refuses 1 . mydocker rm -- "$bad"
    refuses 1 . mydocker logs -- "$bad"
    refuses 1 . mydocker stop -- "$bad"
    refuses 1 . md-rootfs umount -- "$bad"
    refuses 1 . md-rootfs diff -- "$bad"
    [[ -z $bad ]] || refuses 1 . md-net detach -- "$bad"
    refuses 1 . mydocker rmn -- "$bad"
  done
  # A document's id becomes part of a path, too.
  for bad in ../../x /etc "$long" $'0123456789a\n'; do
    jq -n --arg id "$bad" '{ociVersion: "1.1.0", annotations: {"mydocker.id": $id}, root: {path: "/"}, process: {args: ["true"], cwd: "/", user: {uid: 0, gid: 0}}, linux: {}}' >"$dir/doc"
    refuses 1 'id' md-rootfs mount --spec "$dir/doc" busybox true
    refuses 1 'id' md-net attach <"$dir/doc"
    refuses 1 'id' md-cgroup create <"$dir/doc"
    refuses 125 'id' md-spawn run <"$dir/doc"
  done
}

@test "labels and environment of an image do not control the tools" {
  refuses 125 'is reserved' mydocker run --rm --net none -l mydocker.init=true busybox true
  # Labels of the image are not copied: a runtime may act on annotations.
  md-rootfs mount odd true >"$dir/doc"
  same '[]' "$(jq -c '[.annotations | keys[] | select(startswith("mydocker.") | not)]' "$dir/doc")"
  md-spawn run <"$dir/doc"
  does mydocker run --rm --net none -e MYDOCKER_ROOT=/evil -e MYDOCKER_RUN=/evil -e LD_PRELOAD=/evil.so -e PATH=/evil:/bin -e GODEBUG=x busybox true
  [[ ! -e /evil ]]
}

@test "passwords do not show in arguments, in logs, or to other users" {
  local bundle
  mydocker --debug run -d --name web --net none -e SECRET=s3cr3t-words --env OTHER=x busybox sleep 100 >"$dir/id" 2>"$dir/debug"
  mydocker --debug exec -e MORE=s3cr3t-words web true 2>>"$dir/debug"
  unlike s3cr3t-words "$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ')"
  unlike s3cr3t-words "$(cat "$dir/debug"; mydocker ps; mydocker logs web 2>&1)"
  bundle=/var/lib/mydocker/containers/$(cat "$dir/id")
  grep -q s3cr3t-words "$bundle/config.json" # the password is in the document
  # Only root can read it.
  same '700' "$(stat -c %a "$bundle")"
  for path in /var/lib/mydocker/containers /run/mydocker "/run/mydocker/$(cat "$dir/id")"; do
    same '700' "$(stat -c %a "$path")"
  done
  run -1 setpriv --reuid=65534 --regid=65534 --clear-groups cat "$bundle/config.json"
  same '' "$(find /run/mydocker -type s -perm /077)"
  # There is no abstract socket, which would have no mode.
  same '' "$(ss -xlH | awk '{print $5}' | grep '^@.*mydocker' || true)"
  mydocker rm -f web >/dev/null
}

@test "a program cannot forge lines of the log" {
  mydocker run --name box --net none busybox printf 'one\n2019-01-01T00:00:00.000000000Z forged\r\033[2Khidden\n' >/dev/null
  local lines
  mapfile -t lines < <(mydocker logs -t box)
  same 2 "${#lines[@]}"
  like '^20[2-9][0-9]-.*Z 2019-01-01T00:00:00.000000000Z forged' "${lines[1]}"
  same 1 "$(mydocker logs --since 2018-01-01 --until 2020-01-01 box | wc -l | sed 's/^0$/1/')"
}

@test "output that is not read fills neither memory nor disk" {
  local reader size
  mydocker run -d --name web --net none busybox sleep 100 >/dev/null
  mkfifo "$dir/pipe"
  sleep 5 <>"$dir/pipe" &
  reader=$!
  mydocker exec web sh -c 'exec yes 0123456789012345678901234567890123456789' >"$dir/pipe" &
  sleep 1
  size=$(awk '/VmRSS/ {print $2}' "/proc/$!/status")
  ((size > 0 && size < 32768)) || fail "exec has $size KiB"
  does mydocker exec web echo still here
  kill "$!" "$reader"
  wait "$!" 2>/dev/null || true
  mydocker rm -f web >/dev/null
}

@test "a program has only its three descriptors" {
  exec 7</etc/passwd 8>"$dir/file"
  same $'descriptor 0\ndescriptor 1\ndescriptor 2' "$(mydocker run --rm --net none "$root" /probe posture | grep ^descriptor)"
  mydocker run -d --name web --net none "$root" /probe wait >/dev/null
  same $'descriptor 0\ndescriptor 1\ndescriptor 2' "$(mydocker exec web /probe posture | grep ^descriptor)"
  mydocker rm -f web >/dev/null
  exec 7<&- 8>&-
}

@test "sysctls of the host are refused, also in a document" {
  local key
  for key in kernel.core_pattern vm.overcommit_memory kernel.randomize_va_space fs.file-max net/../kernel/core_pattern net.ipv4.ip_forward/../../../kernel.sysrq; do
    refuses 125 'host, not|want a name' mydocker run --rm --net none --sysctl "$key=1" busybox true
  done
  refuses 125 'no new network namespace' mydocker run --rm --net host --sysctl net.core.somaxconn=1000 busybox true
}

@test "a layer larger than the disk is an error and leaves no blob or layer" {
  local root=$dir/store sum
  head -c 80M /dev/urandom >"$dir/data"
  tar -C "$dir" -cf "$dir/layer.tar" data
  sum=$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)
  jq -n --arg sum "sha256:$sum" '{architecture: "amd64", os: "linux", config: {Cmd: ["/data"]}, rootfs: {type: "layers", diff_ids: [$sum]}}' >"$dir/config.json"
  echo '[{"Config": "config.json", "RepoTags": ["big:latest"], "Layers": ["layer.tar"]}]' >"$dir/manifest.json"
  tar -C "$dir" -cf "$dir/big.tar" manifest.json config.json layer.tar
  mkdir "$root"
  for size in 60m 100m 150m; do # less than the blob; the blob alone; both, but not the result
    mount -t tmpfs -o "size=$size" none "$root"
    run -1 --separate-stderr env MYDOCKER_ROOT="$root" md-pull "docker-archive:$dir/big.tar"
    like 'no space left on device$' "${stderr_lines[-1]}"
    same '' "$(MYDOCKER_ROOT=$root mydocker images -q)$(ls -A "$root/layers")"
    does env MYDOCKER_ROOT="$root" mydocker image prune
    umount "$root"
  done
}
