#!/usr/bin/env bats
# mydocker version and info: what they say of the programs, the host, and what is on it. Their forms are tested in
# cmd/mydocker.
load lib

setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() { teardown_leakcheck; }

@test "info counts containers by their state, and images" {
  mydocker run -d --name runs busybox sleep 1000 >/dev/null
  mydocker run -d --name stands busybox sleep 1000 >/dev/null
  mydocker pause stands >/dev/null
  mydocker run --name ended busybox true
  mydocker create --name new busybox true >/dev/null
  same '4 1 1 2 1' "$(mydocker info --format '{{.Containers}} {{.ContainersRunning}} {{.ContainersPaused}} {{.ContainersStopped}} {{.Images}}')"
  like $'Containers: 4\n Running: 1\n Paused: 1\n Stopped: 2\nImages: 1\n' "$(mydocker info)"
  same 4 "$(mydocker info --format json | jq .Containers)"
}

@test "info and version say what the host says" {
  same "$(uname -r) $(uname -m) $(uname -n) $(nproc)" "$(mydocker info --format '{{.KernelVersion}} {{.Architecture}} {{.Name}} {{.NCPU}}')"
  same "$(. /etc/os-release && echo "$PRETTY_NAME")" "$(mydocker info --format '{{.OperatingSystem}}')"
  same "$(($(awk '/^MemTotal/ {print $2}' /proc/meminfo) * 1024))" "$(mydocker info --format '{{.MemTotal}}')"
  same /var/lib/mydocker "$(mydocker info --format '{{.DockerRootDir}}')"
  local version=2
  ! grep -q ' - cgroup .*memory' /proc/self/mountinfo || version=1
  same "overlay2 cgroupfs $version" "$(mydocker info --format '{{.Driver}} {{.CgroupDriver}} {{.CgroupVersion}}')"
  same "$version $(uname -r)" "$(mydocker version --format '{{.Server.CgroupVersion}} {{.Server.KernelVersion}}')"
}

@test "version needs no root, info does" {
  does setpriv --reuid=65534 --regid=65534 --clear-groups "$(command -v mydocker)" version --format '{{.Client.Version}}'
  same "$(mydocker --version)" "mydocker version $output"
  run -1 --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups "$(command -v mydocker)" info
  like 'needs root' "$stderr"
}

@test "an option of the kernel that is off is told" {
  run --separate-stderr unshare --mount sh -c 'mount -t tmpfs none /proc/sys/kernel/seccomp && mydocker info'
  same 'mydocker: warning: the kernel has no seccomp filters' "$stderr"
  like $'\nSecurity Options:( name=apparmor)?\n' "$output"
  same no "$(unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && mydocker version' | sed -n 's/^User namespaces: //p')"
}
