#!/usr/bin/env bats
# md-net as a plugin of the Container Network Interface: under the CNI's own cnitool, and under podman.
load lib

setup_file() {
  warm_up busybox
  export NETCONFPATH=$BATS_FILE_TMPDIR/net.d CNI_PATH=$BATS_TEST_DIRNAME/../../bin
  mkdir "$NETCONFPATH"
  cat >"$NETCONFPATH/cninet.conflist" <<JSON
{
  "cniVersion": "1.1.0",
  "name": "cninet",
  "plugins": [
    {"type": "md-net", "subnet": "10.78.0.0/24", "capabilities": {"portMappings": true, "ips": true, "mac": true}}
  ]
}
JSON
  # Debian's podman knows no version above 1.0.0.
  sed 's/1\.1\.0/1.0.0/; s/cninet/podnet/; s/10\.78/10.79/' "$NETCONFPATH/cninet.conflist" >"$NETCONFPATH/podnet.conflist"
  podman_files
}

# podman's configuration and state are in the temporary directory of this file.
podman_files() {
  local dir=$BATS_FILE_TMPDIR
  export CONTAINERS_CONF=$dir/containers.conf CONTAINERS_STORAGE_CONF=$dir/storage.conf
  cat >"$CONTAINERS_CONF" <<TOML
[network]
network_backend = "cni"
network_config_dir = "$NETCONFPATH"
cni_plugin_dirs = ["$CNI_PATH"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
TOML
  cat >"$CONTAINERS_STORAGE_CONF" <<TOML
[storage]
driver = "vfs"
graphroot = "$dir/storage"
runroot = "$dir/run"
TOML
  "$BATS_TEST_DIRNAME/../busybox-layout" "$dir/busybox"
  skopeo copy -q "oci:$dir/busybox:latest" containers-storage:localhost/busybox
  podman run --rm --network none localhost/busybox true # it makes what it keeps for ever
}

teardown_file() {
  ! mountpoint -q "$BATS_FILE_TMPDIR/storage/vfs" || umount "$BATS_FILE_TMPDIR/storage/vfs"
}

setup() {
  setup_leakcheck
  ip netns add box
}
teardown() {
  podman rm -fa -t 0 >/dev/null
  ip netns del box
  teardown_leakcheck
}

cnitool() { "$BATS_TEST_DIRNAME/../../build/tools/cnitool" "$@" cninet /run/netns/box; }

@test "cnitool: status, add, check, del, gc, twice each" {
  local _
  export CAP_ARGS='{"portMappings":[{"hostPort":8082,"containerPort":80,"protocol":"tcp"}],"ips":["10.78.0.9"]}'
  ip netns exec box busybox httpd -f -p 80 -h /etc 3>&- &
  local httpd=$!
  for _ in 1 2; do
    does cnitool status
    does cnitool add
    same '1.1.0 10.78.0.9/24 eth0' "$(jq -r '[.cniVersion, .ips[0].address, .interfaces[.ips[0].interface].name] | join(" ")' <<<"$output")"
    does cnitool check
    does cnitool check
    eventually 5 curl -fs http://127.0.0.1:8082/hostname
    same "$(cat /etc/hostname)" "$(ip netns exec other curl -fsS -m 5 http://198.51.100.1:8082/hostname)"
    does cnitool del
    does cnitool del
    does cnitool gc
    does cnitool gc
  done
  kill $httpd
  same ' lo' "$(ip -n box -o link | cut -d: -f2)"
}

@test "cnitool: a second add, and a check of broken attachments, fail with a JSON error" {
  does cnitool add
  run cnitool add
  [[ $status != 0 ]]
  like 'has an interface eth0 already' "$output"
  ip -n box addr flush dev eth0
  run cnitool check
  [[ $status != 0 ]]
  like 'link eth0 lacks the address 10\.78\.0\.2/24' "$output"
  does cnitool gc # knows of no attachment that is still valid
  same ' lo' "$(ip -n box -o link | cut -d: -f2)"
  does cnitool del
}

@test "the plugin by hand: VERSION, and an error on stdout with its code" {
  run --separate-stderr env CNI_COMMAND=VERSION md-net <<<'{"cniVersion":"1.1.0"}'
  same '0 1.1.0' "$status $(jq -r '.supportedVersions[-1]' <<<"$output")"
  run --separate-stderr env CNI_COMMAND=ADD md-net <<<'{"cniVersion":"1.1.0","name":"cninet"}'
  same '1 4 ' "$status $(jq -r .code <<<"$output") $stderr"
  like 'CNI_CONTAINERID.*CNI_IFNAME.*CNI_NETNS' "$(jq -r .msg <<<"$output")"
  local conf='{"cniVersion":"1.1.0","name":"cninet"}'
  run --separate-stderr env PATH= CNI_COMMAND=STATUS "$CNI_PATH/md-net" <<<"$conf"
  same '0 ' "$status $output"
  # A host without iptables.
  run --separate-stderr unshare -m sh -c "mount -t tmpfs none /usr/sbin; PATH= CNI_COMMAND=STATUS $CNI_PATH/md-net" <<<"$conf"
  same '1 51 iptables-restore: program not found' "$status $(jq -r '"\(.code) \(.msg)"' <<<"$output")"
}

@test "podman: its containers on our network, by address and by published port; ours beside them" {
  local _
  for _ in 1 2; do
    podman run -d --name pod --network podnet -p 8083:80 localhost/busybox httpd -f -p 80 -h /var/www >/dev/null
    same 10.79.0.2 "$(podman inspect -f '{{.NetworkSettings.Networks.podnet.IPAddress}}' pod)"
    eventually 5 curl -fs http://10.79.0.2/
    same 'hello from busybox' "$(curl -fsS -m 5 http://127.0.0.1:8083/)"
    same 'hello from busybox' "$(ip netns exec other curl -fsS -m 5 http://198.51.100.1:8083/)"
    does mydocker run --rm --net podnet -i busybox wget -q -O - http://10.79.0.2/
    same 'hello from busybox' "$output"
    refuses 125 'port 8083 is taken by container [0-9a-f]{12}$' mydocker run --rm -p 8083:80 -i busybox true
    refuses 1 'rm: network podnet is used by container [0-9a-f]{12}$' md-net rm podnet
    podman stop -t 0 pod >/dev/null
    podman start pod >/dev/null
    eventually 5 curl -fs http://127.0.0.1:8083/
    podman rm -f -t 0 pod >/dev/null
  done
  run podman run --rm --network podnet --ip 10.79.0.77 --mac-address 02:00:00:00:00:77 localhost/busybox ip addr show eth0
  like '02:00:00:00:00:77' "$output"
  like '10\.79\.0\.77/24' "$output"
}
