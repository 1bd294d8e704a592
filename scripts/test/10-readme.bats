#!/usr/bin/env bats
# The README's mysql session, in its order, with each output compared. Each test is one heading of the session;
# the container lives from `run` to `rm`.
# bats file_tags=vm
load lib

setup_file() {
  "$BATS_TEST_DIRNAME/../leakcheck" snapshot "$BATS_FILE_TMPDIR/before"
}

# pty COMMAND... runs it on a terminal without input.
pty() {
  script -qec "${*@Q}" /dev/null < <(exec sleep 5 3>&-) | tr -d '\r'
}

id() {
  cat "$BATS_FILE_TMPDIR/id"
}

show_databases='+--------------------+
| Database           |
+--------------------+
| information_schema |'

all_databases="$show_databases
| mysql              |
| performance_schema |
| sys                |
| testdb             |
+--------------------+"

user_databases="$show_databases
| testdb             |
+--------------------+"

@test "mydocker -h lists the README's commands" {
  does mydocker -h
  like $'^NAME:\n   mydocker - mydocker is a simple container runtime implementation' "$output"
  like $'\nVERSION:\n   [0-9]+\.[0-9]+\.[0-9]+[^\n]*\n' "$output"
  local command
  for command in run ps logs exec stop start restart rm rmn rmi pull inspect networks images network image; do
    like $'\n'"     $command( |,)" "$output"
  done
  like 'run       Create a new mydocker container' "$output"
  like 'help, h   Shows a list of commands or help for one command' "$output"
  does mydocker --version
  like '^mydocker version [0-9]+\.[0-9]+\.[0-9]+' "$output" # 0.0.0 where git has no tag
}

@test "mydocker run -h lists the README's options" {
  does mydocker run -h
  local option
  for option in '--detach, -d  ' '--name value, -n value  ' '--hostname value  ' '--dns value  ' '--image value, -i value  ' \
    '--env value, -e value  ' '--volume value, -v value  ' '--network value, --net value  ' '--publish value, -p value  ' \
    '--storage-driver value, -s value  ' '--cpu-cfs-period value  ' '--cpu-cfs-quota value  ' '--cpu-rt-period value  ' \
    '--cpu-rt-runtime value  ' '--cpu-shares value, -c value  ' '--cpuset-cpus value  ' '--cpuset-mems value  ' \
    '--memory-limit value  ' '--memory-soft-limit value  ' '--memory-swap-limit value  ' '--memory-swappiness value  ' \
    '--oom-kill-disable  ' '--kernel-memory-limit value  ' '--kernel-memory-tcp-limit value  ' '--pids-max value  '; do
    [[ $output == *$'\n'"   $option"* ]] || fail "missing: $option" "$output"
  done
}

@test "networks lists mydocker0 from the start" {
  does mydocker networks
  same 'NAME        IPNETS          GATEWAY      COUNTS   DRIVER   CREATED' "${lines[0]}"
  like "^mydocker0   10\.20\.30\.0/24   10\.20\.30\.1   0        bridge   $time_form\$" "${lines[1]}"
  same 2 "${#lines[@]}"
}

@test "pull gets a new image from a registry" {
  does mydocker pull mysql:5.7.25
  same '5.7.25: Pulling from library/mysql' "${lines[0]}"
  same 'Status: Downloaded newer image for mysql:5.7.25' "${lines[-1]}"
  does mydocker image pull mysql:5.7.25
  same '5.7.25: Pulling from library/mysql' "${lines[0]}"
  same 'Status: Image is up to date for mysql:5.7.25' "${lines[-1]}"
}

@test "images lists the images of this host" {
  local list
  for list in images 'image list'; do
    # shellcheck disable=SC2086 # two words
    does mydocker $list
    same 'IMAGE ID       REPO    TAG      COUNTS   CREATED               SIZE' "${lines[0]}"
    like "^[0-9a-f]{12}   mysql   5\.7\.25   0        $time_form   [0-9]+(\.[0-9]+)? MB\$" "${lines[1]}"
    same 2 "${#lines[@]}"
  done
}

@test "create a network and list networks" {
  does mydocker network create -s 10.10.1.0/24 subnet1
  same subnet1 "$output"
  local list
  for list in networks 'network list'; do
    # shellcheck disable=SC2086
    does mydocker $list
    same 'NAME        IPNETS          GATEWAY      COUNTS   DRIVER   CREATED' "${lines[0]}"
    like "^mydocker0   10\.20\.30\.0/24   10\.20\.30\.1   0        bridge   $time_form\$" "${lines[1]}"
    like "^subnet1     10\.10\.1\.0/24    10\.10\.1\.1    0        bridge   $time_form\$" "${lines[2]}"
  done
}

@test "run starts a container with every flag of the README's example" {
  mkdir -p /root/mysql
  does mydocker run -d \
    -p 8036:3306 \
    -i mysql:5.7.25 \
    -e MYSQL_ROOT_PASSWORD=r00tme \
    -e MYSQL_DATABASE=testdb \
    -e MYSQL_USER=testuser \
    -e MYSQL_PASSWORD=r00test \
    -v /root/mysql:/var/lib/mysql \
    --name mysql-test \
    --hostname mysql-test \
    --cpu-cfs-period 200000 \
    --cpu-cfs-quota 500000 \
    --cpu-shares 2048 \
    --cpuset-cpus 0-1 \
    --cpuset-mems 0 \
    --memory-limit 512000000 \
    --memory-soft-limit 1024000000 \
    --pids-max 100
  like "$id_form" "$output"
  echo "$output" >"$BATS_FILE_TMPDIR/id"
}

@test "ps lists containers" {
  does mydocker ps
  same $'CONTAINER ID\tNAME\tIMAGE\tSTATUS\tDRIVER\tPID\tCOMMAND\tIPS\tPORTS\tCREATED' "$(cells <<<"${lines[0]}")"
  like "^$(id)"$'\tmysql-test\tmysql:5\.7\.25\trunning\toverlay2\t[0-9]+\t\[docker-entrypoint\.sh mysqld\]\t10\.20\.30\.2\t8036->3306\t'"$time_form\$" \
    "$(cells <<<"${lines[1]}")"
  same 2 "${#lines[@]}"
  # The pid is that of the program on the host.
  local pid
  pid=$(cells <<<"${lines[1]}" | cut -f6)
  like 'mysqld|docker-entrypoint' "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
}

@test "logs shows the output of a container" {
  eventually 60 bash -c "mydocker logs mysql-test 2>&1 | grep -q 'port: 3306'"
  run mydocker logs mysql-test
  like '^Initializing database' "$output"
  like 'mysqld: ready for connections\.' "$output"
  # -f follows the output until it is interrupted.
  run -124 timeout 1 mydocker logs -f mysql-test
  like 'mysqld: ready for connections\.' "$output"
}

@test "exec runs a command in the container" {
  same "$all_databases" "$(pty mydocker exec mysql-test -- mysql -uroot -pr00tme -e 'show databases;')"
  run --separate-stderr mydocker exec --interactive mysql-test bash <<<"mysql -t -utestuser -pr00test -e 'show databases;'"
  same "$user_databases" "$output"
  same 0 "$status"
}

@test "mysql is reachable from another host via hostIP:8036" {
  local from
  for from in 'ip netns exec other mysql -h 198.51.100.1' 'mysql -h 198.51.100.1' 'mysql -h 127.0.0.1'; do
    # shellcheck disable=SC2086
    does $from -P 8036 -utestuser -pr00test -t -e 'show databases;'
    same "$user_databases" "$output"
  done
}

@test "the kernel has the limits of the example" {
  local pid
  pid=$(mydocker ps | cells | awk -F'\t' 'NR == 2 {print $6}')
  # limit V1 V2 prints the named file of the container's cgroup, if the host has it.
  limit() {
    local name=$2 dir=/sys/fs/cgroup controller=${1%%.*}
    if [[ ! -e $dir/cgroup.controllers ]]; then
      name=$1 dir=$dir/$controller
    else
      controller=
    fi
    cat "$dir$(awk -F: -v c="$controller" '$2 == c {print $3}' "/proc/$pid/cgroup")/$name"
  }
  like "/mydocker/$(id)" "$(cat "/proc/$pid/cgroup")"
  like '^(200000|500000 200000)$' "$(limit cpu.cfs_period_us cpu.max)"
  like '^(500000|500000 200000)$' "$(limit cpu.cfs_quota_us cpu.max)"
  like '^(2048|174)$' "$(limit cpu.shares cpu.weight)"
  same 0-1 "$(limit cpuset.cpus cpuset.cpus)"
  same 0 "$(limit cpuset.mems cpuset.mems)"
  same 512000000 "$(limit memory.limit_in_bytes memory.max)"
  same 1024000000 "$(limit memory.soft_limit_in_bytes memory.low)"
  same 100 "$(limit pids.max pids.max)"
}

@test "connect adds a network to a container" {
  does mydocker network connect subnet1 mysql-test
  does mydocker ps
  like $'\t10\.20\.30\.2, 10\.10\.1\.2\t8036->3306\t' "$(cells <<<"${lines[1]}")"
  does mydocker exec mysql-test ip addr
  like '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536' "$output"
  local address
  for address in 10.20.30.2/24:10.20.30.255 10.10.1.2/24:10.10.1.255; do
    like "inet ${address%:*} brd ${address#*:} scope global ceth-[0-9a-f]{8}" "$output"
  done
  like 'ceth-[0-9a-f]{8}@if[0-9]+: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500' "$output"
  does mydocker networks
  like '^mydocker0 .* 1        bridge' "${lines[1]}"
  like '^subnet1 .* 1        bridge' "${lines[2]}"
}

@test "a network and an image in use cannot be removed" {
  refuses 1 'subnet1' mydocker rmn subnet1
  refuses 1 'mysql:5\.7\.25' mydocker rmi mysql:5.7.25
  does mydocker images
  like "^[0-9a-f]{12}   mysql   5\.7\.25   1        " "${lines[1]}"
}

@test "disconnect removes a network from a container" {
  does mydocker network disconnect subnet1 mysql-test
  does mydocker exec mysql-test ip addr
  like 'inet 10\.20\.30\.2/24 brd 10\.20\.30\.255 scope global ceth-' "$output"
  unlike '10\.10\.1\.' "$output"
  does ip netns exec other mysql -h 198.51.100.1 -P 8036 -utestuser -pr00test -N -e 'select 1;'
  same 1 "$output"
}

@test "--debug prints system calls as shell commands on stderr" {
  run --separate-stderr mydocker --debug exec mysql-test -- mysql -uroot -pr00tme -N -e 'show databases;'
  same 0 "$status"
  same $'information_schema\nmysql\nperformance_schema\nsys\ntestdb' "$output"
  like "^\[$time_form\] DEBUG " "${stderr_lines[0]}"
  like "DEBUG echo .* > /sys/fs/cgroup/(.*/)?mydocker/$(id)/" "$stderr"
}

@test "inspect shows the README's fields" {
  run --separate-stderr mydocker inspect mysql:5.7.25 mysql-test
  same 0 "$status"
  same $'Showing mysql:5.7.25 as a image:\nShowing mysql-test as a container:' "$stderr"
  # Values that differ from run to run are replaced by the README's. Where a path differs from the
  # README's, it is that of the OCI bundle; labels are an addition.
  local golden=$BATS_TEST_DIRNAME/readme-inspect.json
  jq -e --arg id "$(id)" '
    def mask(form; text): if type == "string" and test(form) then text else . end;
    if has("RepoTag") then
      .Uuid |= mask("^[0-9a-f]{12}$"; "141eda20897f") | .Size |= mask("^[0-9.]+ MB$"; "354.9 MB")
    else
      .Uuid |= mask("^\($id)$"; "4f2322145e66")
      | .Cgroups.Pid |= (if type == "number" and . > 1 then 30942 else . end)
      | .Endpoints[0].Uuid |= mask("^[0-9a-f]{12}$"; "0f616391b7bb")
      | .Endpoints[0].Device |= mask("^veth-[0-9a-f]{8}@ceth-[0-9a-f]{8}$"; "veth-f0573c58@ceth-f0573c58")
    end
    | del(.Labels)
    | .CreateTime |= mask("^[0-9-]{10} [0-9:]{8}$"; "2019-01-25 09:46:04")' <<<"$output" |
    sed -E "s/$(id)/4f2322145e66/" | diff "$golden" - >&2
}

@test "stop, start, restart and remove a container" {
  same "$(id)" "$(mydocker stop mysql-test)"
  does mydocker ps
  like $'\tmysql-test\tmysql:5\.7\.25\texited\t' "$(cells <<<"${lines[1]}")"
  refuses 125 'mysql-test.*not running' mydocker exec mysql-test true
  same "$(id)" "$(mydocker start mysql-test)"
  eventually 30 mysql -h 127.0.0.1 -P 8036 -utestuser -pr00test -e 'use testdb'
  same "$(id)"$'\n'"$(id)" "$(mydocker restart mysql-test)"
  eventually 30 ip netns exec other mysql -h 198.51.100.1 -P 8036 -utestuser -pr00test -e 'use testdb'
  mydocker stop mysql-test
  same "$(id)" "$(mydocker rm mysql-test)"
  does mydocker ps
  same 1 "${#lines[@]}"
}

@test "removing images and networks leaves nothing" {
  local image
  image=$(mydocker images | awk 'NR == 2 {print $1}')
  run --separate-stderr mydocker image rm "$image"
  same 0 "$status"
  like '[0-9a-f]{12}|mysql:5\.7\.25' "$output"
  does mydocker network rm subnet1
  same subnet1 "$output"
  does mydocker rmn mydocker0
  rm -rf /root/mysql
  # The state directory, its empty directories and the empty store may stay.
  "$leakcheck" compare "$BATS_FILE_TMPDIR/before" \
    '^\+ files /(var/lib|run)/mydocker(/(images(/(blobs(/sha256)?|sources|oci-layout|index\.json))?|ground(/(dev|proc|sys|etc(/(hostname|hosts|resolv\.conf))?))?|layers|containers|names|networks|volumes|netns|ports|pulls|locks(/[a-z]+)?)?)?$'
  same '' "$(find /var/lib/mydocker/layers /var/lib/mydocker/images/blobs/sha256 -mindepth 1 2>/dev/null)"
}
