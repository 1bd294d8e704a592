#!/usr/bin/env bats
# md-spawn as the OCI runtime of other engines: podman, containerd with md-net as its CNI plugin, docker and Swarm. Their
# configuration files are those of doc/engines.md.
load lib

engines=$BATS_TEST_DIRNAME/../../doc/engines.md

setup_file() {
  own_files
  own_hierarchies
  export runtime=/usr/local/bin/md-spawn dir=$BATS_FILE_TMPDIR PATH=/usr/bin:$PATH
  "$BATS_TEST_DIRNAME/../busybox-layout" "$dir/busybox"
  skopeo copy -q "oci:$dir/busybox:latest" "docker-archive:$dir/busybox.tar:docker.io/library/busybox:latest"
}

# Directories of the host that the tests write to are private to this file.
own_files() {
  local own=$BATS_FILE_TMPDIR/own d
  mkdir "$own"
  mount -t tmpfs own "$own"
  for d in etc opt usr/local; do
    mkdir -p "$own/$d/upper" "$own/$d/work"
    mount -t overlay -o "lowerdir=/$d,upperdir=$own/$d/upper,workdir=$own/$d/work" overlay "/$d"
  done
  : >/etc/resolv.conf # Swarm looks up an image that it has, and an unreachable server would delay that
  cp "$(command -v md-spawn)" /usr/local/bin/
  mkdir -p /opt/cni/bin
  ln -sf "$(command -v md-net)" /opt/cni/bin/
}

# containerd returns no metrics for a process in a hierarchy that is not mounted; another test may have left one.
own_hierarchies() {
  local names
  while IFS=: read -r _ names _; do
    [[ $names == '' || $names == name=* ]] || grep -q " - cgroup .*\b$names\b" /proc/self/mountinfo || {
      mkdir -p "/sys/fs/cgroup/$names"
      mount -t cgroup -o "$names" cgroup "/sys/fs/cgroup/$names"
      find "/sys/fs/cgroup/$names" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true
    }
  done </proc/self/cgroup
}

# install_text FILE... writes each file as doc/engines.md shows it.
install_text() {
  local file
  for file; do
    mkdir -p "$(dirname "$file")"
    awk -v "name=in \`$file\`" '
      inside && /^```/ {exit}
      inside {print}
      index($0, name) {found = 1}
      found && /^```/ {inside = 1}' "$engines" >"$file"
    [[ -s $file ]] || fail "doc/engines.md has no text for $file"
  done
}

teardown_file() { umount /etc /opt /usr/local "$BATS_FILE_TMPDIR/own"; }

setup() { setup_leakcheck; }

# Objects that the engines keep, as they do with runc.
teardown() {
  ended
  ip link del docker_gwbridge 2>/dev/null || true
  umount -q /run/docker/netns/* /var/lib/docker 2>/dev/null || true
  rm -rf /run/libpod /run/containerd /run/docker* /var/lib/docker /var/lib/containerd
  find /sys/fs/cgroup/*/{libpod_parent,default,docker} -depth -type d -exec rmdir {} + 2>/dev/null || true
  teardown_leakcheck
}

# daemon NAME ARG... starts a daemon; the test stops its daemons in reverse order.
daemon() {
  "$@" >"$dir/$1.log" 2>&1 3>&- &
  daemons=("$!" "${daemons[@]}")
}

ended() {
  local pid
  for pid in "${daemons[@]}"; do
    kill "$pid"
    eventually 30 sh -c "! kill -0 $pid 2>/dev/null" || kill -9 "$pid"
  done
  daemons=()
}

# on_terminal COMMAND... runs it on a terminal.
on_terminal() { script -qec "$(printf '%q ' "$@")" /dev/null </dev/null | tr -d '\r'; }

# patient is a program that prints a line when it is ready, and one on SIGTERM.
patient='trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.1; done'

# engine_lives CODE COMMAND... runs the steps that podman and docker share; CODE is the engine's exit code for an exec of a
# missing program.
engine_lives() {
  local code=$1
  shift
  local engine=("$@") run=("$@" run --network none)
  run -7 --separate-stderr "${run[@]}" --rm busybox sh -c 'echo out; echo err >&2; exit 7'
  same out "$output"
  same err "$stderr"
  run -127 "${run[@]}" --rm busybox nothing
  run -126 "${run[@]}" --rm busybox /etc
  # An engine may warn about the host's cgroups.
  run -0 --separate-stderr "${run[@]}" --rm --memory 64m --pids-limit 20 --hostname inside --user 1000 --group-add 77 --read-only busybox \
    sh -c 'hostname; id -u; id -G; touch /x 2>/dev/null || echo read-only'
  like $'^inside\n1000\n.*77.*\nread-only$' "$output"
  "${run[@]}" -d --name box busybox sh -c "$patient"
  eventually 20 sh -c "${engine[*]} logs box | grep ready"
  run -9 --separate-stderr "${engine[@]}" exec box sh -c 'echo $1; cat /proc/1/comm; exit 9' sh word
  same $'word\nsh' "$output"
  run -0 --separate-stderr "${engine[@]}" exec --privileged --user 1000 --env K=V --workdir /tmp box sh -c 'id -u; echo $K; pwd; grep CapBnd /proc/self/status'
  like $'^1000\nV\n/tmp\nCapBnd:\t[0-9a-f]*ffffff$' "$output"
  like /dev/pts/0 "$(on_terminal "${engine[@]}" exec -t box tty)"
  run "-$code" "${engine[@]}" exec box nothing
  "${engine[@]}" pause box
  run ! "${engine[@]}" exec box true
  "${engine[@]}" unpause box
  "${engine[@]}" update --cpus 0.5 box
  "${engine[@]}" update --memory 48m --memory-swap 96m box
  like $'^50331648$' "$("${engine[@]}" exec box sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max' 2>/dev/null)"
  like $'^50000$|^50000 100000$' "$("${engine[@]}" exec box sh -c 'cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us cpu.max' 2>/dev/null)"
  "${engine[@]}" exec box dd if=/dev/zero of=/dev/null count=1 # update keeps the device rules
  like '[0-9.]+[kKM]i?B / ' "$("${engine[@]}" stats --no-stream --format '{{.MemUsage}}' box)"
  like 'sh -c trap' "$("${engine[@]}" top box)"
  "${engine[@]}" restart -t 10 box
  eventually 20 sh -c "[ \$(${engine[*]} logs box | grep -c ready) = 2 ]"
  "${engine[@]}" stop -t 10 box
  same $'ready\nbye\nready\nbye' "$("${engine[@]}" logs box)"
  same '3 exited' "$("${engine[@]}" inspect -f '{{.State.ExitCode}} {{.State.Status}}' box)"
  "${engine[@]}" start box
  "${engine[@]}" kill box
  same 137 "$("${engine[@]}" wait box)"
  "${engine[@]}" rm box
  "${run[@]}" -d --name box busybox sh -c "$patient"
  "${engine[@]}" rm -f box
  same '' "$("${engine[@]}" ps -aq)"
}

@test "podman: run, exec, logs, update, pause, stats, restart, stop, kill, rm, and exit codes" {
  install_text /etc/containers/containers.conf
  export CONTAINERS_STORAGE_CONF=$dir/storage.conf
  printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$dir/storage" "$dir/run" >"$CONTAINERS_STORAGE_CONF"
  local podman=(podman --cgroup-manager cgroupfs --events-backend file)
  "${podman[@]}" load -q -i "$dir/busybox.tar"
  engine_lives 127 "${podman[@]}"
  ! mountpoint -q "$dir/storage/vfs" || umount "$dir/storage/vfs"
  rm -rf "$dir/storage" "$dir/run" /run/mydocker # the containers' directories, because podman names no --root
}

docker_starts() {
  install_text /etc/docker/daemon.json
  daemon dockerd --bridge none --iptables=false --storage-driver vfs
  eventually 40 docker version
  docker load -q -i "$dir/busybox.tar"
}

@test "docker: run, exec, logs, update, pause, stats, restart, stop, kill, rm, and exit codes" {
  docker_starts
  engine_lives 126 docker # as with runc
  # With "0s" the present second would be missing.
  like 'create start .*exec_die .*pause unpause update .*kill die stop start restart .*destroy' \
    "$(docker events --since 10m --until "$(($(date +%s) + 1))" --filter type=container --format '{{.Action}}' | tr '\n' ' ')"
  # The sleep is for containerd, which watches for the event only after the start.
  run -137 docker run --name hungry --network none --memory 16m --memory-swap 16m busybox sh -c 'sleep 1; exec tail /dev/zero'
  eventually 10 sh -c "docker inspect -f '{{.State.OOMKilled}}' hungry | grep true"
  docker rm hungry
  docker run -d --name again --restart on-failure:2 --network none busybox sh -c 'echo once more; exit 4'
  eventually 20 sh -c '[ "$(docker inspect -f "{{.RestartCount}} {{.State.Status}}" again)" = "2 exited" ]'
  same $'once more\nonce more\nonce more' "$(docker logs again)"
  docker rm again
  docker run -d --name well --network none --health-cmd true --health-interval 1s busybox sleep 100
  eventually 20 sh -c '[ "$(docker inspect -f "{{.State.Health.Status}}" well)" = healthy ]'
  docker rm -f well
}

@test "docker: a Swarm service of three replicas" {
  docker_starts
  docker swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1
  docker service create --detach --name three --replicas 3 --network host --no-resolve-image --restart-delay 0s \
    --stop-signal KILL busybox sleep 1000
  eventually 60 sh -c '[ "$(docker ps -q --filter name=three | wc -l)" = 3 ]'
  # shellcheck disable=SC2046
  same md-spawn "$(docker inspect -f '{{.HostConfig.Runtime}}' $(docker ps -q) | sort -u)"
  docker kill "$(docker ps -q | head -1)"
  eventually 60 sh -c '[ "$(docker ps -q --filter name=three | wc -l)" = 3 ] && [ "$(docker ps -aq | wc -l)" = 4 ]'
  docker service scale --detach three=1
  eventually 60 sh -c '[ "$(docker ps -q | wc -l)" = 1 ]'
  docker service rm three
  eventually 60 sh -c '[ -z "$(docker ps -q)" ]'
  docker swarm leave --force
}

containerd_starts() {
  install_text /etc/containerd/config.toml
  daemon containerd
  eventually 30 ctr version
  ctr images import "$dir/busybox.tar"
}

@test "containerd: run, exec, pause, metrics, events, kill, rm by ctr" {
  containerd_starts
  like md-spawn "$(containerd config dump | grep -A5 'runtimes.md-spawn')"
  image=docker.io/library/busybox:latest
  local run=(ctr run --snapshotter native --runc-binary "$runtime")
  ctr events >"$dir/events" 3>&- &
  daemons=("$!" "${daemons[@]}")
  # ctr drops output that it has not read when the container exits, with any runtime.
  run -7 --separate-stderr "${run[@]}" --rm "$image" once sh -c 'echo out; sleep 1; exit 7'
  same out "$output"
  "${run[@]}" -d "$image" box sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
  run -9 ctr task exec --exec-id e1 box sh -c 'exit 9'
  same sh "$(ctr task exec --exec-id e2 box sh -c 'cat /proc/1/comm; sleep 1')"
  like /dev/pts/0 "$(on_terminal ctr task exec --exec-id e3 -t box sh -c 'tty; sleep 1')"
  like $'first\n/dev/pts/0' "$(on_terminal "${run[@]}" -t --rm "$image" terminal sh -c 'echo first; tty; sleep 1')"
  ctr task pause box
  like PAUSED "$(ctr task ls)"
  ctr task resume box
  like 'memory.*usage' "$(ctr task metrics box | tr '\n' ' ')"
  like "^$(ctr task ls | awk '$1 == "box" {print $2}') " "$(ctr task ps box | tail -n +2 | head -1)"
  ctr task kill box
  eventually 20 sh -c 'ctr task ls | grep "box .*STOPPED"'
  like 'exit code 3' "$(ctr task rm box 2>&1)"
  ctr container rm box
  "${run[@]}" -d "$image" box sleep 100
  ctr task kill -s KILL box
  eventually 20 sh -c 'ctr task ls | grep "box .*STOPPED"'
  like 'exit code 137' "$(ctr task rm box 2>&1)"
  ctr container rm box
  like '/tasks/create .*/tasks/start .*/tasks/exit .*/tasks/delete' "$(tr '\n' ' ' <"$dir/events")"
}

@test "containerd: a container on a mydocker network, by md-net as its CNI plugin" {
  local image=docker.io/library/busybox:latest ip pid
  mydocker pull -q busybox >/dev/null
  mydocker run --rm busybox true # creates the network
  "$leakcheck" snapshot "$first_look"
  install_text /etc/cni/net.d/10-mydocker.conflist
  containerd_starts
  ctr run --cni --rm --snapshotter native --runc-binary "$runtime" "$image" web httpd -f -p 80 -h /var/www 3>&- &
  pid=$!
  eventually 20 sh -c 'ctr task ls | grep "web .*RUNNING"'
  ip=$(ctr task exec --exec-id ip web sh -c 'ip -o -4 addr show eth0; sleep 1' | sed -nE 's/.* inet ([0-9.]+).*/\1/p')
  eventually 5 curl -fs "http://$ip/"
  does mydocker run --rm -i busybox wget -q -O - "http://$ip/"
  same 'hello from busybox' "$output"
  ctr task kill -s KILL web
  wait $pid || same 137 $?
}
