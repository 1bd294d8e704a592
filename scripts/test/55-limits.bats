#!/usr/bin/env bats
# Limits as seen by a container. No line depends on the cgroup version: the same command behaves the same
# on v1, hybrid and v2 hosts. (`make test-v2` runs the tests with the tag vm in a VM with v2 only, which
# is slow. lib/cgroup tests which files are written, and measures times.)
load lib

setup_file() {
  warm_up busybox
  make_disk
}
teardown_file() { remove_disk; }
# In the VM, a leak check around each test would take longer than the tests. What a container leaves does not
# depend on the cgroup version, except for cgroups.
setup() { [[ -n ${VM-} ]] || setup_leakcheck; }
teardown() {
  if [[ -z ${VM-} ]]; then
    teardown_leakcheck
  else
    mydocker ps -q | xargs -r mydocker rm -f -v
    same '' "$(groups_left)"
  fi
}

# boxed OPTION... -- COMMAND... runs a container and prints both its streams.
boxed() {
  local options=()
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  run mydocker run --rm --net none "${options[@]}" busybox sh -c "exec 2>&1; $*"
}

# groups_left prints the cgroups of containers that exist in any hierarchy.
groups_left() {
  awk '/ - cgroup2? / {print $5}' /proc/self/mountinfo | xargs -I{} find {} -type d -path '*/mydocker*'
}

# bats test_tags=vm
@test "memory: a process over the limit is killed, and inspect shows it" {
  # Without the second limit the process would use the host's swap.
  run mydocker run --name greedy --memory-limit 24m --memory-swap-limit 24m busybox tail -n 1 /dev/zero
  same 137 "$status"
  same '[true,137]' "$(mydocker inspect greedy 2>/dev/null | jq -c '[.OOMKilled, .ExitCode]')"
  run mydocker run --name modest --memory-limit 24m busybox sh -c 'head -c 4m /dev/zero | tail -n 1 | wc -c'
  same 4194304 "$output"
  same '[null,0]' "$(mydocker inspect modest 2>/dev/null | jq -c '[.OOMKilled, .ExitCode]')"
  # Detached, with the OOM kill in a child of the program.
  mydocker run -d --name survivor --memory-limit 24m --memory-swap-limit 24m busybox sh -c 'tail -n 1 /dev/zero; echo $?; exit 3'
  same 3 "$(mydocker wait survivor)"
  same 137 "$(mydocker logs survivor 2>/dev/null)"
  same '[true,3]' "$(mydocker inspect survivor 2>/dev/null | jq -c '[.OOMKilled, .ExitCode]')"
  # A restart clears it.
  mydocker start modest
  mydocker wait modest
  same null "$(mydocker inspect modest 2>/dev/null | jq .OOMKilled)"
}

@test "memory and swap: a swap limit equal to the memory limit allows no swap" {
  boxed -m 24m --memory-swap 24m -- 'head -c 40m /dev/zero | tail -n 1 | wc -c; echo end'
  unlike 41943040 "$output"
  boxed -m 64m --memory-swap -1 --memory-reservation 8m -- 'head -c 16m /dev/zero | tail -n 1 | wc -c'
  same 16777216 "$output"
}

# bats test_tags=vm
@test "pids: a fork over the limit fails" {
  boxed --pids-max 3 -- 'for i in 1 2 3 4; do sleep 5 & done; echo unreached'
  like "can't fork" "$output"
  boxed --pids-limit 0 -- 'for i in 1 2 3 4; do sleep 0 & done; wait; echo all'
  same all "$output"
}

@test "cpus: the set is the affinity of the program" {
  boxed --cpuset-cpus 0 --cpuset-mems 0 -- 'grep -E "(Cpus|Mems)_allowed_list" /proc/self/status'
  like $'Cpus_allowed_list:\t0\n.*Mems_allowed_list:\t0' "$output"
  boxed --cpus 1.5 -c 512 --cpu-period 50000 -- true
  like 'cpus: conflicts with --cpu-cfs-quota' "$output"
}

# bats test_tags=vm
@test "devices: only those of the list can be used" {
  boxed -- 'for d in null zero full random urandom; do head -c 0 /dev/$d || echo $d; done
    mknod /kmsg c 1 11 && echo made; cat /kmsg'
  like $'^made\ncat: .*Operation not permitted$' "$output"
  boxed --device-cgroup-rule 'c 10:237 r' -- 'mknod /loops c 10 237; true </loops && echo read; true >/loops'
  like $'^read\nsh: .*Operation not permitted$' "$output"
  boxed --device /dev/loop-control:/dev/loops:r -- 'true </dev/loops && echo read; true >/dev/loops'
  like $'^read\nsh: .*Operation not permitted$' "$output"
  boxed --privileged -- 'mknod /loops c 10 237; true </loops && echo read'
  same read "$output"
}

# bats test_tags=vm
@test "a container sees only its own cgroup, read-only" {
  mydocker run -d --name other busybox sleep 100 >/dev/null
  boxed --pids-max 7 -- 'cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null
    find /sys/fs/cgroup -type d | grep -c mydocker
    find /sys/fs/cgroup -name cgroup.procs | while read -r f; do mkdir "${f%/*}/new" 2>/dev/null && echo "made $f"; done
    find /sys/fs/cgroup -name cgroup.procs | while read -r f; do echo $$ 2>/dev/null >"$f" && echo "wrote $f"; done
    awk "\$2 ~ \"^/sys/fs/cgroup\" && \$4 !~ /^ro/" /proc/mounts'
  same $'7\n0' "$output"
}

# bats test_tags=vm
@test "exec is subject to the same limits" {
  mydocker run -d --name held --pids-max 4 --cpuset-cpus 0 busybox sleep 100 >/dev/null
  run mydocker exec held sh -c 'mknod /kmsg c 1 11; cat /kmsg'
  like 'Operation not permitted' "$output"
  run mydocker exec held sh -c 'grep Cpus_allowed_list /proc/self/status; for i in 1 2 3 4; do sleep 5 & done'
  like $'Cpus_allowed_list:\t0' "$output"
  like "can't fork" "$output"
}

# bats test_tags=vm
@test "pause freezes all processes; kill and rm -f still end them" {
  mydocker run -d --name counter busybox sh -c 'while :; do echo >>/count; done' >/dev/null
  count() { stat -c %s "/var/lib/mydocker/containers/$(mydocker ps -q)/diff/count" 2>/dev/null; }
  eventually 10 count
  mydocker pause counter
  like '^counter paused$' "$(mydocker ps --format '{{.Name}} {{.Status}}')"
  same "$(mydocker ps -q)" "$(mydocker ps -q --filter status=paused)"
  same paused "$(mydocker inspect counter 2>/dev/null | jq -r .Status)"
  same 'paused true' "$(mydocker inspect -f '{{.State.Status}} {{.State.Paused}}' counter)"
  same FROZEN "$(mydocker inspect counter 2>/dev/null | jq -r .Cgroups.Resources.Freezer)"
  local before
  before=$(count)
  sleep 0.5
  same "$before" "$(count)"
  refuses 125 'container is paused' mydocker exec counter true
  refuses 125 'container is paused' md-spawn exec counter true
  refuses 1 'container is paused already' mydocker pause counter
  mydocker unpause counter
  goes_on() { [[ $(count) != "$before" ]]; }
  eventually 10 goes_on
  refuses 1 'container is not paused' mydocker unpause counter
  mydocker pause counter
  local start=$SECONDS
  mydocker kill counter
  same 137 "$(mydocker wait counter)"
  mydocker start counter
  mydocker pause counter
  mydocker rm -f counter
  ((SECONDS - start < 20)) # no command waited for the frozen program
}

# bats test_tags=vm
@test "update changes the limits now and for the next start" {
  mydocker run -d --name web -m 32m --pids-max 50 busybox sleep 1000 >/dev/null
  local shown='.Cgroups.Resources | [.MemoryLimit, .PidsMax, .CpuShares, .CpuCfsQuota]'
  same '[33554432,50,1024,-1]' "$(mydocker inspect web 2>/dev/null | jq -c "$shown")"
  does mydocker update --memory 64m --pids-limit 3 -c 2048 --cpus 0.5 web
  like "$id_form" "$output"
  same '[67108864,3,2048,50000]' "$(mydocker inspect web 2>/dev/null | jq -c "$shown")"
  run mydocker exec web sh -c 'for i in 1 2 3; do sleep 5 & done'
  like "can't fork" "$output"
  mydocker stop -t 0 web
  same '[67108864,3,2048,50000]' "$(mydocker inspect web 2>/dev/null | jq -c "$shown")"
  mydocker start web
  same '[67108864,3,2048,50000]' "$(mydocker inspect web 2>/dev/null | jq -c "$shown")"
  refuses 1 'memory-limit 1: want at least' mydocker update -m 1 web
  refuses 2 'no limit is given' mydocker update web
  same '[67108864,3,2048,50000]' "$(mydocker inspect web 2>/dev/null | jq -c "$shown")"
}

# bats test_tags=vm
@test "every limit that v1 and v2 share is accepted and set in the kernel" {
  mydocker run -d --name all --cpu-cfs-period 50000 --cpu-cfs-quota 25000 -c 512 --cpuset-cpus 0 --cpuset-mems 0 \
    --memory-limit 64m --memory-soft-limit 32m --memory-swap-limit 128m --pids-max 30 --blkio-weight 300 \
    --blkio-weight-device "$disk:200" --device-read-bps "$disk:1m" --device-write-bps "$disk:2m" \
    --device-read-iops "$disk:100" --device-write-iops "$disk:200" --device-cgroup-rule 'c 10:229 rw' busybox sleep 100 >/dev/null
  local device
  device=$(printf '"major":%d,"minor":%d' "0x$(stat -c %t "$disk")" "0x$(stat -c %T "$disk")")
  same '{"CpuCfsPeriod":50000,"CpuCfsQuota":25000,"CpuShares":512,"CpusetCpus":"0","CpusetMems":"0","MemoryLimit":67108864,
    "MemorySoftLimit":33554432,"MemorySwapLimit":134217728,"BlkioWeight":300,"BlkioWeightDevice":[{DEVICE,"weight":200}],
    "BlkioThrottleReadBpsDevice":[{DEVICE,"rate":1048576}],"BlkioThrottleWriteBpsDevice":[{DEVICE,"rate":2097152}],
    "BlkioThrottleReadIOPSDevice":[{DEVICE,"rate":100}],"BlkioThrottleWriteIOPSDevice":[{DEVICE,"rate":200}],
    "Device":[{"allow":true,"type":"c","major":10,"minor":229,"access":"rw"}],"PidsMax":30}' \
    "$(mydocker inspect all 2>/dev/null | jq -c '.Cgroups.Resources | {CpuCfsPeriod, CpuCfsQuota, CpuShares, CpusetCpus,
      CpusetMems, MemoryLimit, MemorySoftLimit, MemorySwapLimit, BlkioWeight, BlkioWeightDevice, BlkioThrottleReadBpsDevice,
      BlkioThrottleWriteBpsDevice, BlkioThrottleReadIOPSDevice, BlkioThrottleWriteIOPSDevice, Device, PidsMax}' |
      sed "s/$device/DEVICE/g; s/,\"\(MemorySoft\|BlkioThrottleReadB\|BlkioThrottleReadI\|Device\)/,\n    \"\1/g")"
}

@test "stats and top show the container's use and processes" {
  mydocker run -d --name busy -m 64m busybox sh -c 'sleep 1000 & while :; do :; done' >/dev/null
  does mydocker stats --no-stream
  same $'CONTAINER ID\tNAME\tCPU %\tMEM USAGE / LIMIT\tMEM %\tNET I/O\tBLOCK I/O\tPIDS' "$(cells <<<"${lines[0]}")"
  like $'\tbusy\t[1-9][0-9.]*%\t[0-9.]+[KM]iB / 64MiB\t[0-9.]+%\t.*\t2$' "$(cells <<<"${lines[1]}")"
  same '{"name":"busy","memoryLimit":67108864,"pids":2}' "$(mydocker stats --no-stream --format json busy |
    jq -c 'select(.cpuPercent > 1 and .memoryUsage > 0) | {name, memoryLimit, pids}')"
  same 2 "$(mydocker stats --format json 2>/dev/null | head -n 2 | jq -s length)" # it continues
  does mydocker top busy
  same $'UID\tPID\tPPID\tC\tSTIME\tTTY\tTIME\tCMD' "$(cells <<<"${lines[0]}")"
  like $'\tsh -c sleep 1000 & ' "$(cells <<<"$output")"
  like $'\tsleep 1000' "$(cells <<<"$output")"
  same 3 "${#lines[@]}"
  same $'COMMAND\nsh\nsleep' "$(mydocker top busy -o pid,comm | awk '{print $2}')"
  mydocker stop -t 0 busy
  refuses 1 'not running' mydocker top busy
}

@test "an invalid limit is refused before anything is created" {
  "$leakcheck" snapshot "$BATS_TEST_TMPDIR/before-refusals"
  while read -r options; do
    # shellcheck disable=SC2086
    refuses 125 "${options%% *}" mydocker run --rm $options busybox true
  done <<'OPTIONS'
--memory-limit 5m
--memory-swap-limit 20m -m 32m
--cpus 1000
--cpuset-cpus 4000
--cpu-shares 1
--pids-max -7
--blkio-weight 5
--blkio-leaf-weight 500
--device-read-bps /dev/null:1m
--device-write-bps /dev/nonsuch:1m
--device-read-iops /dev/null
--hugepages-limit 3MB=1m
--net-cls-classid x
--net-prio-ifpriomap nonsuch=1
--device-cgroup-rule 1:3
--ulimit files=3
--oom-score-adj 2000
--shm-size 0
OPTIONS
  "$leakcheck" compare "$BATS_TEST_TMPDIR/before-refusals"
  same '' "$(groups_left)"
}

@test "--ulimit, --oom-score-adj and --shm-size are applied" {
  boxed --ulimit nofile=100:200 --ulimit core=0 --oom-score-adj 300 --shm-size 1m -- \
    'ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; df -k /dev/shm | awk "NR == 2 {print \$2}"'
  same $'100\n200\n0\n300\n1024' "$output"
}

@test "a thousand containers leave no cgroup in any hierarchy" {
  # Too slow in the VM.
  local many=1000
  [[ -z ${VM-} ]] || many=30
  seq $many | xargs -P 4 -I{} mydocker run --rm --net none -m 32m --pids-max 20 --cpu-shares 100 busybox true
  same '' "$(groups_left)"
}
