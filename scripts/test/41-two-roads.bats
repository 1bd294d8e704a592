#!/usr/bin/env bats
# `mydocker run` in one process and the pipeline that it prints with `--print` make the same document and the same
# container.
load lib

# Arguments of `mydocker run` as typed in a shell. They use every option, and words that shells and parsers
# easily get wrong.
read -r -d '' roads <<'LINES' || true
busybox echo hello
-i busybox -- echo hello
--rm --image busybox:latest sh -c 'echo out; echo err >&2; exit 7'
--rm busybox sh -c 'kill -TERM $$'
--rm --net none busybox printf '[%s]\n' 'two words' '' "it's" '"' '$HOME' '`id`' '\' '\n' '*' '~' '#' '!' ';' '&&' '|'
--rm --net none busybox printf '[%s]\n' $'line\nline' $'\t' $'\r' 'ünï → 漢' $'\x80' -n --name=x -- - -1
--rm --net none -e 'SPACED=a b  c' -e 'Q='\''"' -e $'LINES=a\nb' -e 'DOLLAR=$HOME ${x} \' -e EMPTY= -e COPIED -e ABSENT --env=-e=x busybox env
--rm --net none --env A=1 --env '*=*' --env-file $dir/env busybox env
--rm --net none --env-file "$dir/hostile \$file *" -e A=flag busybox env
--name web --hostname box busybox hostname
-n dashed_-.1 busybox cat /etc/hosts /etc/hostname
--dns 9.9.9.9 --dns 2620:fe::fe busybox cat /etc/resolv.conf
--rm -v $dir/data:/data:ro -v "$dir/a b":/with\ space -v named:/named -v /anonymous busybox sh -c 'cat /data/file "/with space/file"; ls -d /named /anonymous'
--rm --volume="$dir/\$x 'y' \"z\"":"/\$x 'y' \"z\"" busybox sh -c 'cat /\$*/file'
--add-host gate:host-gateway --add-host=other:198.51.100.2 --dns-search example.org --dns-search . --dns-option ndots:2 busybox sh -c 'cat /etc/hosts /etc/resolv.conf'
--rm --network mine,ip=10.77.0.9,alias=www,mac=02:00:00:00:00:09 -P busybox sh -c 'ip -o addr show scope global | cut -d" " -f7; cat /etc/hosts'
--rm --pull missing --publish-all busybox true
--rm --network mine --ip 10.77.0.10 --network-alias www2 --mac-address 02:00:00:00:00:0a busybox sh -c 'ip -o addr show scope global | cut -d" " -f7; cat /etc/hosts'
--rm --network mine --network mydocker0 busybox sh -c 'ip -o -4 addr | wc -l'
--rm --net host busybox ip -o link show uplink
--rm --net container:friend busybox ip -o -4 addr
--rm --net ns:/run/netns/other busybox ip -o -4 addr show dev eth0
--rm -p 8101:80 --publish 127.0.0.1:8102-8104:82-84/udp --publish=198.51.100.1:8105:80 busybox true
--rm -s vfs busybox cat /var/www/index.html
--storage-driver=overlay2 busybox touch /new
--rm --net none --cpu-cfs-period 100000 --cpu-cfs-quota 50000 --cpu-shares 2048 --cpuset-cpus 0 --cpuset-mems 0 busybox true
--rm --net none -c 512 --cpu-cfs-quota -1 --memory-limit -1 --pids-max 0 busybox true
--rm --net none --memory-limit 64m --memory-soft-limit 1024m --memory-swap-limit=-1 --memory-swappiness 0 --pids-max 20 busybox cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max
--rm --net none --memory-limit=32MiB --memory-swap-limit 1.5g --oom-kill-disable --memory-swappiness=100 busybox true
--rm --net none --kernel-memory-limit -1 --kernel-memory-tcp-limit 16m busybox true
--rm --net none --cpu-rt-period 1000000 --cpu-rt-runtime 0 busybox true
--rm --net none --workdir /tmp/made/by -u 1000:2000 busybox sh -c 'pwd; id'
--rm --net none -w / --user nobody --read-only --tmpfs /scratch:size=1m --tmpfs=/run busybox sh -c 'id -un; touch /x; touch /scratch/x && echo rw'
--rm --net none --entrypoint sh odd -c 'echo "$SPACED"; pwd'
--rm --net none --entrypoint= odd echo plain
--rm --net none --entrypoint '/bin/echo' odd '' -- -e 'a  b'
--rm odd
--label a=b -l 'spaced key=$value "x"' -l empty= -l bare busybox true
--rm --net none --init busybox cat /proc/1/comm
--rm --net none --tty busybox sh -c 'tty; echo $TERM; exit 3'
--rm --net none --tty=false busybox tty
--rm --net none --interactive busybox cat
--rm --net none --cap-add NET_ADMIN --cap-drop=mknod --group-add root --group-add=5000 busybox sh -c 'grep Cap /proc/self/status; id -G'
--rm --net none --cap-drop ALL --security-opt no-new-privileges --security-opt=systempaths=unconfined busybox sh -c 'grep -E "Cap|NoNew" /proc/self/status; grep /proc/ /proc/mounts'
--rm --net none --privileged busybox sh -c 'grep Cap /proc/self/status; grep sysfs /proc/mounts; test -c /dev/full'
--rm --net none --security-opt seccomp=unconfined busybox grep Seccomp: /proc/self/status
--rm --net none --security-opt "seccomp=$dir/a b/profile.json" -u nobody busybox sh -c 'grep Seccomp: /proc/self/status; mkdir /tmp/x'
--rm --net none --userns 100000:200000:65536 -v $dir/data:/data -v named:/named busybox sh -c 'cat /proc/self/uid_map /proc/self/gid_map; ls -ln /data /named; touch /root/x; ls -ln /root'
--rm --net none --userns=host busybox cat /proc/self/uid_map
--rm --net none --device /dev/null:/dev/some/where:rw --device=/dev/zero:/zero --sysctl kernel.msgmax=9000 busybox sh -c 'ls -l /dev/some/where /zero; cat /proc/sys/kernel/msgmax'
--rm --net none busybox nonsense
--rm --net none busybox /etc/passwd
-d --name back --restart on-failure:3 --log-opt max-size=1m --log-opt=max-file=2 busybox sleep 100
--restart=no --log-opt max-size=-1 busybox echo hello
-d --name back --stop-signal USR1 busybox sh -c 'echo "in  the background"; sleep 100'
--detach --rm --interactive busybox sh -c 'echo reads; cat; sleep 100'
--rm --net none --cpus 1.5 -m 64m --memory-reservation=32m --pids-limit 50 --cpuset-cpus=0 busybox true
--rm --net none --device-read-bps $disk:10m --device-write-bps=$disk:20m --device-read-iops $disk:100 --device-write-iops $disk:200 busybox true
--rm --net none --device-cgroup-rule 'c 1:11 r' busybox sh -c 'mknod /kmsg c 1 11 && true </kmsg && echo read; true >/kmsg'
--rm --net none --blkio-weight 500 --blkio-weight-device $disk:200 busybox true
--rm --net none --ulimit nofile=100:200 --ulimit=core=0 --oom-score-adj 300 --shm-size=1m busybox sh -c 'ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; df -k /dev/shm'
LINES

setup_file() {
  warm_up busybox odd
  export COPIED=$'copied\n"value"'
  make_disk
}
teardown_file() { remove_disk; }
setup() {
  setup_leakcheck
  dir=$BATS_TEST_TMPDIR
  mkdir -p "$dir"/{data,'a b',"\$x 'y' \"z\""}
  echo data >"$dir/data/file"
  echo spaced >"$dir/a b/file"
  jq -n '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{name: "mkdir", action: "SCMP_ACT_ERRNO", errnoRet: 28}]}' >"$dir/a b/profile.json"
  echo quoted >"$dir/\$x 'y' \"z\"/file"
  printf 'FILE=x y\nCOPIED\n' >"$dir/env"
  printf 'Q="$x" '\''y'\''\n' >"$dir/hostile \$file *"
  mydocker network create -s 10.77.0.0/24 mine >/dev/null
  mydocker run -d --name friend busybox sleep 100 >/dev/null
  mydocker run --rm --net mine busybox true
}
teardown() {
  rm -rf /var/lib/mydocker/volumes/named
  teardown_leakcheck
}

# each COMMAND calls it with the words of every line.
each() {
  local line bad=0
  while IFS= read -r line; do
    eval "$1 $line" || { fail "mydocker run $line" || bad=1; }
  done <<<"$roads"
  return "$bad"
}

# no_ids replaces ids of containers and of anonymous volumes by ID.
no_ids() { sed -E 's/\b([0-9a-f]{12}|[0-9a-f]{24})\b/ID/g'; }

# release FILE undoes the document, as a runtime does when its container has exited.
release() { jq -r '.hooks.poststop[].args | @sh' "$1" | sh; }

same_document() {
  local text
  text=$(mydocker run --print "$@")
  sh -c "${text%| md-spawn run*}| cat" >"$dir/pipe.json" || return
  release "$dir/pipe.json"
  mydocker run --print=spec "$@" >"$dir/spec.json" || return
  diff <(jq -S . "$dir/spec.json" | no_ids) <(jq -S . "$dir/pipe.json" | no_ids)
}

# outcome COMMAND... prints the observable result of a run: output, errors, exit code, and the kept container,
# which it removes.
outcome() {
  local code=0 id
  "$@" </dev/null >"$dir/out" 2>"$dir/err" || code=$?
  echo "exit $code"
  for id in $(mydocker ps -q); do
    [[ $id != "$friend" ]] || continue
    ! grep -q "$id" "$dir/out" || eventually 5 grep -q . "/var/lib/mydocker/containers/$id/log" || true
    mydocker logs "$id" 2>&1
    jq -S . "/var/lib/mydocker/containers/$id/config.json"
    mydocker rm -f -v "$id" >/dev/null
  done | no_ids
  no_ids <"$dir/out"
  # The tool's name in errors differs, the rest does not.
  sed -E 's/^(mydocker: run [^ ]+|md-spawn: run): /TOOL: /' "$dir/err"
}

# The two shells alternate.
shells=(sh bash)
same_outcome() {
  shells=("${shells[1]}" "${shells[0]}")
  outcome mydocker run "$@" >"$dir/line"
  outcome "${shells[0]}" -c "$(mydocker run --print "$@")" >"$dir/text"
  diff "$dir/line" "$dir/text"
}

# Except options that current kernels lack, and controllers that only the host could mount or delegate.
@test "the lines use every option of run" {
  local option
  for option in $(mydocker run -h | sed -nE 's/^   (--[a-z-]+).*/\1/p'); do
    [[ $option =~ ^--(print|blkio-leaf-weight.*|hugepages-limit|net-(cls|prio)-.*)$ || $roads =~ (^|[[:space:]])"$option"[\ =] ]] || fail "no line has $option"
  done
  (($(wc -l <<<"$roads") >= 25))
}

@test "run and the pipeline make the same document" { each same_document; }

@test "sh and bash run the printed pipeline as mydocker runs the line" {
  friend=$(mydocker ps -q)
  each same_outcome
}

# on_terminal COMMAND runs it on a terminal, and prints what the terminal shows except for script's own
# echo of the end of input.
on_terminal() { script -qec "$1" /dev/null </dev/null | tr -d '\0\r' | sed 's/\^[@D]//g; s/\x08//g; /^$/d'; }

@test "on a terminal the printed pipeline has -t" {
  local text
  text=$(on_terminal 'mydocker run --print --rm busybox tty')
  like '^md-rootfs mount --tty ' "$text"
  like '^/dev/' "$(on_terminal "$text")"
  same "$(on_terminal 'mydocker run --rm busybox tty')" "$(on_terminal "$text")"
}

@test "--print starts nothing and leaves nothing" {
  "$leakcheck" snapshot "$dir/before-print"
  print() { mydocker run --print "$@" >"$dir/out" && mydocker run --print=spec "$@" >"$dir/out"; }
  each print
  # Except a named volume, which only the user removes.
  "$leakcheck" compare "$dir/before-print" '^\+ files /var/lib/mydocker/volumes/named$'
}
