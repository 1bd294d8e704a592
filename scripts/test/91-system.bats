#!/usr/bin/env bats
# mydocker system: orphans of every kind, planted by hand, are found and removed, and nothing else; disk use; and
# start at boot.
load lib

root=/var/lib/mydocker run=/run/mydocker
setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() {
  mydocker system prune >/dev/null
  teardown_leakcheck
}

# old FILE... creates files with an old modification time.
old() { touch -d '1 hour ago' "$@"; }

# plant creates one orphan of each kind.
plant() {
  local gone=0123456789ab
  # The parts of a container that does not exist.
  mkdir -p $root/containers/$gone/rootfs
  mount -t tmpfs none $root/containers/$gone/rootfs
  mkdir -p $run/netns && touch $run/netns/$gone && mount --bind /proc/self/ns/net $run/netns/$gone
  ip link add veth-12345678 type veth peer name planted
  ip link set veth-12345678 master mydocker0
  iptables -t nat -A MYDOCKER-PUBLISH -p tcp --dport 9999 -m comment --comment mydocker/$gone -j DNAT --to-destination 10.20.30.99:80
  mkdir -p "$(cgroups)/mydocker/$gone"
  echo fedcba987654 >$root/networks/mydocker0/leases/10.20.30.99
  mkdir -p $run/ports && echo $gone >$run/ports/tcp-9999-9999-any
  echo fedcba987654 >$root/names/planted
  mkdir -p $root/volumes/0123456789abcdef01234567/data
  echo "{\"created\": \"2024-01-01T00:00:00Z\", \"container\": \"$gone\"}" >$root/volumes/0123456789abcdef01234567/volume.json
  # Unfinished objects of killed commands.
  touch $run/locks/volume-planted $run/locks/planted
  mkdir -p $root/networks/half $root/layers/0123456789012345678901234567890123456789012345678901234567890123/fs
  echo x >$root/images/blobs/sha256/0123456789012345678901234567890123456789012345678901234567890123
  ip link add lost type bridge
  ip link set lost alias "mydocker network lost of $root"
  old $root/networks/half
  touch -d '2 days ago' $root/layers/0123*/ $root/images/blobs/sha256/0123*
  local part
  for part in $root/{names/.tmp-1,networks/mydocker0/{.tmp-2,leases/.tmp-3},images/.tmp-5} $run/.tmp-4; do
    echo x >"$part"
    old "$part"
  done
}

planted='attachment blob cgroup container file layer lease link lock mount name namespace network port rule volume'

@test "read-only commands create and remove nothing" {
  local look listed="$BATS_TEST_TMPDIR/listed" new="$BATS_TEST_TMPDIR/new"
  old $root/images/.tmp-x
  mkdir -p $run/pulls
  echo '{"process": {"pid": 1, "start": 1, "boot": "x"}, "blobs": [], "chains": []}' >$run/pulls/0123456789ab.json
  for look in 'mydocker ps -a' 'mydocker images' 'mydocker networks' 'mydocker volume ls' 'mydocker system df' 'mydocker system check' \
    'mydocker inspect busybox' 'mydocker logs nosuch' 'mydocker stats --no-stream' 'mydocker run --print busybox' 'md-ps -a' 'md-net list' \
    'md-net inspect mydocker0' 'md-spawn list' 'md-spawn state nosuch' 'md-rootfs path nosuch' 'md-cgroup show 0123456789ab'; do
    find $root $run | sort >"$listed"
    $look >/dev/null 2>&1 || true
    diff "$listed" <(find $root $run | sort) || fail "$look changed the above"
    MYDOCKER_ROOT=$new/lib MYDOCKER_RUN=$new/run $look >/dev/null 2>&1 || true
    [[ ! -e $new ]] || fail "$look made, where nothing was" "$(find "$new")"
  done
  rm $root/images/.tmp-x $run/pulls/0123456789ab.json
}

no_link() { ! ip link show "$1"; }

@test "system check finds each kind of orphan, and --fix removes only orphans" {
  local before="$BATS_TEST_TMPDIR/state" found vm lost
  # With owned objects beside them: a running, a stopped and a prepared container, and a kept volume.
  mydocker run -d --name runs -p 8080:80 -v /anonymous busybox sleep 1000 >/dev/null
  mydocker run --name ended -v named:/named -v /anonymous busybox true
  mydocker run --name left -v /anonymous busybox true && mydocker rm left >/dev/null
  md-rootfs mount --name prepared busybox true | md-cgroup create --pids-max 20 | md-net attach >"$BATS_TEST_TMPDIR/config.json"
  ip netns add vm
  vm=$(md-net attach --netns vm)
  does mydocker system check
  same '' "$output"
  "$leakcheck" snapshot "$before"

  ip netns add gone
  lost=$(md-net attach --netns gone)
  ip netns delete gone
  eventually 5 no_link "$(jq -r '.endpoints[0].hostLink' "$root/containers/$lost/net.json")" # the kernel deletes it later
  plant
  run -1 --separate-stderr mydocker system check
  same '' "$stderr"
  found=$(cut -d' ' -f1 <<<"$output" | sort -u | xargs)
  same "$planted" "$found"
  like 'file /var/lib/mydocker/names/.tmp-1: ' "$output"
  like 'file /var/lib/mydocker/images/.tmp-5: ' "$output" # still listed: the first check removed nothing
  same "$(wc -l <<<"$output")" "$(mydocker system check --json | jq -s length)"
  does mydocker system check --fix
  does mydocker system check
  same '' "$output"
  "$leakcheck" compare "$before" '^[+-] files /run/mydocker/[0-9a-f]{12}' || fail 'fix did not bring back what was'

  plant
  does mydocker system prune
  like "cgroup $(cgroups)/mydocker/0123456789ab" "$output"
  does mydocker system check
  does mydocker exec runs true
  does md-spawn run <"$BATS_TEST_TMPDIR/config.json"
  md-net detach "$vm"
  ip netns delete vm
  rm -rf $root/volumes/named
  mydocker volume prune -f >/dev/null 2>&1 || mydocker volume prune >/dev/null
}

@test "check finds no orphans while containers start and stop" {
  local pid pids=()
  for _ in 1 2 3; do
    (for _ in {1..10}; do mydocker run --rm -p 80 -v /anonymous busybox true || exit; done) 3>&- &
    pids+=($!)
  done
  for _ in {1..20}; do
    does mydocker system check --fix
    same '' "$output"
  done
  for pid in "${pids[@]}"; do wait "$pid" || fail 'a container did not run'; done
}

@test "df shows the disk use of images, containers and volumes" {
  mydocker run -d --name runs busybox sleep 1000 >/dev/null
  mydocker run --name big -v data:/data busybox sh -c 'dd if=/dev/zero of=/file bs=1M count=5; dd if=/dev/zero of=/data/file bs=1M count=3' 2>/dev/null
  mydocker system df --format json >"$BATS_TEST_TMPDIR/df"
  same '2 1 true' "$(jq -r 'select(.type == "containers") | "\(.total) \(.active) \(.reclaimable >= 5 * 1048576)"' "$BATS_TEST_TMPDIR/df")"
  same 'true' "$(jq 'select(.type == "volumes") | .size >= 3 * 1048576' "$BATS_TEST_TMPDIR/df")"
  same 'true' "$(jq 'select(.type == "images") | .active == 1 and .size > .reclaimable' "$BATS_TEST_TMPDIR/df")"
  like '^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE' "$(mydocker system df)"
  mydocker rm -v big >/dev/null
  rm -rf $root/volumes/data
}

# reboot removes what a reboot does: processes, mounts, links, rules, cgroups, and files in /run.
reboot() {
  local id table
  jq .monitor.pid $run/*/state.json | grep -v null | xargs -r kill -KILL
  sleep 0.2
  while read -r id; do umount -l "$id"; done < <(awk -v root="$root/" -v run="$run/" 'index($5, root) == 1 || index($5, run) == 1 {print $5}' /proc/self/mountinfo)
  find $run -mindepth 1 ! -path $run/pulls ! -name sysctls.json -delete # except the two that the leak check saw before
  ip -o link show type veth | sed -nE 's/^[0-9]+: (veth-[0-9a-f]{8}).*/\1/p' | xargs -r -n 1 ip link delete 2>/dev/null || true
  ip link delete mydocker0
  for table in filter nat raw; do iptables -t $table -F && iptables -t $table -X; done
  awk '$0 ~ / - cgroup2? / {print $5 "/mydocker"}' /proc/self/mountinfo | while read -r id; do
    [[ ! -d $id ]] || find "$id" -depth -type d -exec rmdir {} +
  done
}

@test "after a reboot all containers have exited, and always containers are restarted" {
  mydocker run -d --name always --restart always -p 8080:80 busybox httpd -f -h /var/www >/dev/null
  mydocker run -d --name unless --restart unless-stopped busybox sleep 1000 >/dev/null
  mydocker run -d --name halted --restart unless-stopped busybox sleep 1000 >/dev/null
  mydocker run -d --name fails --restart on-failure busybox sleep 1000 >/dev/null
  mydocker run -d --name plain busybox sleep 1000 >/dev/null
  mydocker run -d --rm --name passing -v /anonymous busybox sleep 1000 >/dev/null
  md-rootfs mount --name prepared busybox true >/dev/null
  mydocker stop -t 0 halted >/dev/null
  reboot
  same '' "$(md-ps --filter status=running -q)"
  does mydocker system boot
  same 2 "${#lines[@]}"
  same $'always running\nfails exited\nhalted exited\nplain exited\nunless running' "$(md-ps --format '{{.Name}} {{.Status}}' | sort)"
  same '' "$(mydocker system check)"
  eventually 5 curl -sf http://127.0.0.1:8080/
  does mydocker system boot # does nothing more
  same '' "$output"
  same 137 "$(md-ps -f name=plain --format '{{.ExitCode}}')"
  does mydocker start plain
  mydocker run --rm --name passing --network none busybox true # the name is free again
  mydocker run --rm --name prepared --network none busybox true
}

@test "after a reboot without a boot command the first ordinary command cleans up" {
  mydocker run -d --rm --name passing -p 8080:80 -v /anonymous busybox sleep 1000 >/dev/null
  mydocker run -d --name plain busybox sleep 1000 >/dev/null
  reboot
  does mydocker run --rm --name passing -p 8080:80 busybox true
  same 'plain exited' "$(md-ps --format '{{.Name}} {{.Status}}')"
  same '' "$(mydocker system check)"
}

@test "a torn document affects no other container, and can be removed" {
  local id
  id=$(mydocker run -d --name torn -v /anonymous busybox sleep 1000)
  mydocker run --name whole busybox true
  mydocker stop -t 0 torn >/dev/null
  : >"$root/containers/$id/config.json"
  run --separate-stderr mydocker ps --format '{{.Name}}'
  same whole "$output"
  like "container $id" "$stderr"
  does mydocker rm -v torn
  same '' "$(mydocker system check)"
  does mydocker ps -q
}
