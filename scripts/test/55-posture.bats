#!/usr/bin/env bats
# What a container may do, as seen from inside by scripts/test/probe: compared with docker's containers, and the
# seccomp filter with runc's.
load lib

setup_file() {
  export root=$BATS_FILE_TMPDIR/root
  mkdir -p "$root"/{dev,etc,mnt,proc,sys}
  cp build/tools/probe "$root"
  warm_up busybox
}
setup() {
  setup_leakcheck
  dir=$BATS_TEST_TMPDIR
}
teardown() {
  rm -rf /run/runc
  teardown_leakcheck
}

# reasons FILE prints the patterns without the reasons.
reasons() { grep -v '^#' "$1" | sed 's/ *%\t.*//'; }

@test "a container has docker's rights, except for a list of differences" {
  with_docker compare_postures
}

# with_docker COMMAND... runs the command with a docker daemon in directories of its own.
with_docker() {
  local code=0 daemon
  export DOCKER_HOST=unix://$dir/docker.sock
  dockerd --host "$DOCKER_HOST" --data-root "$dir/docker" --exec-root "$dir/exec" --pidfile "$dir/pid" \
    --iptables=false --bridge=none --storage-driver vfs >"$dir/dockerd.log" 2>&1 &
  daemon=$!
  eventually 30 docker version || { tail "$dir/dockerd.log" && return 1; }
  "$@" || code=$?
  kill "$daemon"
  wait "$daemon" || true
  rm -rf /run/docker /run/containerd /var/lib/docker
  rmdir /sys/fs/cgroup/*/docker
  return "$code"
}

compare_postures() {
  local bad=0
  tar -C "$root" -c . | docker import - probe >/dev/null
  docker run --rm --network none probe /probe posture >"$dir/docker.txt"
  mydocker run --rm --network none "$root" /probe posture >"$dir/ours.txt"
  reasons scripts/test/probe/from-docker >"$dir/known"
  diff "$dir/docker.txt" "$dir/ours.txt" | grep '^[<>]' >"$dir/all" || true
  grep -vE -f "$dir/known" "$dir/all" && bad=1
  # A listed difference that no longer exists must be removed from the list.
  (($(wc -l <"$dir/ours.txt") > 100)) || fail "the probe says little" || bad=1
  return "$bad"
}

@test "exec has the same rights as run" {
  local options
  for options in '' '-u 1000:7 --group-add 44 --cap-drop all --security-opt no-new-privileges' \
    '--privileged' '--cap-add SYS_ADMIN --cap-drop chown --security-opt seccomp=unconfined --security-opt systempaths=unconfined' \
    '--userns 100000:200000:65536 --sysctl net.core.somaxconn=99 --device /dev/fuse --ulimit nofile=99:99 --oom-score-adj 7 --read-only'; do
    # shellcheck disable=SC2086
    mydocker run -d --name first --network none $options "$root" /probe wait >/dev/null
    mydocker exec first /probe posture | grep -v '^process pid' >"$dir/exec.txt"
    # shellcheck disable=SC2086
    mydocker run --rm --network none $options "$root" /probe posture | grep -v '^process pid' >"$dir/run.txt"
    mydocker rm -f first >/dev/null
    (($(wc -l <"$dir/run.txt") > 100)) || fail "$options: the probe says little"
    diff "$dir/run.txt" "$dir/exec.txt" || fail "$options: exec differs"
  done
}

@test "exec keeps supplementary groups for another user, and --privileged adds only capabilities" {
  local caps held user
  caps() { mydocker exec "$@" first /probe posture | awk '/CapEff|CapBnd|CapPrm/ {printf "%s ", $3}'; }
  held=$(awk '/CapBnd/ {print $2}' /proc/self/status)
  mydocker run -d --name first --network none --group-add 44 --cap-drop all "$root" /probe wait >/dev/null
  same '0000000000000000 0000000000000000 0000000000000000 ' "$(caps)"
  same "$held $held $held " "$(caps --privileged)"
  same "0000000000000000 0000000000000000 $held " "$(caps --privileged -u 5)"
  like 'Seccomp 2' "$(mydocker exec --privileged first /probe posture)"
  for user in 5 5:6 0; do like 'Groups ([0-9]+ )*44( |$)' "$(mydocker exec -u "$user" first /probe posture | grep Groups)"; done
  mydocker rm -f first >/dev/null
}

@test "each option adds or removes one right" {
  local caps held user
  inside() { mydocker run --rm --network none "$@" "$root" /probe posture; }
  caps() { inside "$@" | awk '/CapEff|CapBnd|CapPrm|CapInh|CapAmb/ {printf "%s ", $3}'; }
  same '0000000000000000 0000000000000000 0000000000000000 00000000a80425fb 0000000000000000 ' "$(caps -u 1000)"
  same '0000000000000000 0000000000000001 0000000000000001 0000000000000001 0000000000000000 ' "$(caps --cap-drop all --cap-add chown)"
  like 'NoNewPrivs 1' "$(inside --security-opt no-new-privileges)"
  like 'Seccomp 0' "$(inside --security-opt seccomp=unconfined)"
  like 'try open fuse: (ok|no such device)' "$(inside --device /dev/fuse)"
  like 'path /proc/sys/kernel/core_pattern file, write: ok' "$(inside --security-opt systempaths=unconfined)"
  caps=$(inside --privileged)
  like 'try mount: ok' "$caps"
  like 'Seccomp 0' "$caps"
  unlike 'try open (mem|kmsg): operation not permitted' "$caps"
}

@test "with a user namespace, root inside is unprivileged outside, and files keep their owners" {
  local id
  mkdir "$dir/data"
  echo root >"$dir/data/root"
  echo app >"$dir/data/app"
  chown 7:8 "$dir/data/app"
  chmod 600 "$dir/data"/*
  id=$(mydocker run -d --net none --userns auto -v "$dir/data:/data" -v /anon busybox sleep 100)
  same '0 1879048192 65536' "$(mydocker exec "$id" cat /proc/self/uid_map | xargs)"
  like '^1879048192 1879048192 ' "$(stat -c '%u %g ' "/proc/$(mydocker ps --format '{{.PID}}')")"
  same 'root 0:0' "$(mydocker exec "$id" sh -c 'cat /data/root; stat -c %u:%g /data/root' | xargs)"
  same 'app 7:8' "$(mydocker exec -u 7 "$id" sh -c 'cat /data/app; stat -c %u:%g /data/app' | xargs)"
  does mydocker exec "$id" sh -c 'echo x >/data/new; echo x >/anon/new; echo x >/root/new; echo x >>/etc/passwd; rm /etc/group; echo "1.2.3.4 x" >>/etc/hosts'
  same 0:0 "$(stat -c %u:%g "$dir/data/new")"
  # Files keep their owners through stop and start, and with another id map.
  mydocker stop -t 0 "$id" >/dev/null
  same 0:0 "$(stat -c %u:%g "/var/lib/mydocker/containers/$id/diff/root/new")"
  mydocker start "$id" >/dev/null
  does mydocker exec "$id" sh -c 'cat /root/new /anon/new; stat -c %u /root/new'
  same $'x\nx\n0' "$output"
  # The namespaces are the host's: no capability applies to them.
  refuses 125 'no effect with --userns' mydocker run --rm --userns auto --cap-add NET_ADMIN busybox true
  refuses 125 "not in the container's id map" mydocker run --rm --net none --userns 5:5:10 -u 11 busybox true
  does mydocker run --rm --net none --userns auto -s vfs busybox stat -c %u:%g /bin
  same 0:0 "$output"
  mydocker rm -f -v "$id" >/dev/null
  rm -rf /var/lib/mydocker/users
}

@test "a user namespace only removes rights" {
  mydocker run --rm --network none "$root" /probe posture >"$dir/host.txt"
  mydocker run --rm --network none --userns auto "$root" /probe posture >"$dir/own.txt"
  diff "$dir/host.txt" "$dir/own.txt" | grep '^[<>]' >"$dir/all" || true
  # Owners in mount options; kernel files belong to the overflow id; device files and raw sockets cannot be made.
  unlike . "$(grep -vE '^[<>] (mount /|dev /dev/(mqueue|pts)|(try (mknod|open|raw|packet)|path /proc/sys/kernel/core_pattern|sysctl net/ipv4/ping_group_range) )' "$dir/all" || true)"
  unlike . "$(grep -E '^> .*: ok$' "$dir/all" || true)"
  like '< try mknod a disk: ok' "$(cat "$dir/all")"
  rm -rf /var/lib/mydocker/users
}

@test "the seccomp filter answers each call as runc's does, except for a list of differences" {
  local bundle=$dir/bundle
  document() { md-rootfs mount "$root" /probe calls | md-cgroup create | md-net attach --network none; }
  mkdir "$bundle"
  document >"$bundle/config.json"
  runc run -b "$bundle" "calls-$$" >"$dir/runc.txt"
  document | md-spawn run >"$dir/ours.txt"
  same "$(wc -l <"$dir/runc.txt")" "$(wc -l <"$dir/ours.txt")"
  paste -d'\t' "$dir/runc.txt" "$dir/ours.txt" | awk -F'\t' '
    FNR == NR { if ($0 !~ /^#/) { split($0, w, " "); n++; way[n] = w[1]; first[n] = w[2]; last[n] = w[3]; why[n] = w[4] } next }
    $1 != $2 {
      split($1, r, " "); number = r[2] + 0; theirs = $1; ours = $2
      sub(/^[^ ]+ [^ ]+ /, "", theirs); sub(/^[^ ]+ [^ ]+ /, "", ours)
      for (i = 1; i <= n; i++) if (way[i] == r[1] && first[i] <= number && number <= last[i]) {
        if (why[i] == "gap" && ours == "function not implemented" && theirs == "operation not permitted") next
        if (why[i] == "stricter" && ours == "operation not permitted") next
        if (why[i] == "new") next
      }
      print "runc: " $1 ", ours: " $2; bad = 1
    }
    END { exit bad }' scripts/test/probe/from-runc -
}
