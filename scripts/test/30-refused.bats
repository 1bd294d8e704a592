#!/usr/bin/env bats
# Invalid input: one line on stderr that names the problem and its cause, the right exit code, and no leftovers.
load lib

setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() { teardown_leakcheck; }

@test "unknown image, tag and platform are refused" {
  refuses 1 'nosuch' mydocker pull nosuch
  refuses 1 'busybox:nosuch' mydocker pull busybox:nosuch
  refuses 1 'platform|riscv64|s390x' mydocker pull foreign
  refuses 1 'plan9/vax|platform' md-pull --platform plan9/vax multi
  refuses 125 'nosuch' mydocker run --rm -i nosuch true
}

@test "invalid image references are refused" {
  refuses 2 'UPPER' mydocker pull UPPER
  refuses 2 'busybox:' mydocker pull 'busybox:'
  refuses 2 'sha256' mydocker pull busybox@sha256:123
  refuses 2 '' mydocker pull ''
  refuses 2 '' mydocker pull '../../etc/passwd'
}

@test "an unreachable registry is an error" {
  sed 's/^location = .*/location = "127.0.0.1:1"/' "$CONTAINERS_REGISTRIES_CONF" >"$BATS_TEST_TMPDIR/down.conf"
  CONTAINERS_REGISTRIES_CONF=$BATS_TEST_TMPDIR/down.conf refuses 1 'connection refused' mydocker pull nosuch
  refuses 1 '127.0.0.1:1.*connection refused' mydocker pull 127.0.0.1:1/x
}

@test "a layer that does not match its digest is refused" {
  complains 1 'sha256:' mydocker pull broken
  unlike broken "$(mydocker images)"
  refuses 1 'sha256' mydocker pull busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000
}

@test "a container name in use is refused" {
  mydocker run -d --name web -i busybox sleep 100 >/dev/null
  refuses 125 'web.*taken' mydocker run --name web -i busybox true
}

@test "invalid container names are refused" {
  local name
  for name in a '../x' 'a b' $'a\nb' '-a' "$(printf 'x%.0s' {1..300})"; do
    refuses 125 'name' mydocker run --rm --name "$name" -i busybox true
  done
}

@test "a port in use by a container or a program of the host is refused" {
  mydocker run -d --name first -p 8080:80 -i busybox sleep 100 >/dev/null
  refuses 125 '8080.*taken.*first' mydocker run --rm -p 8080:81 -i busybox true
  local port=${TESTBED_REGISTRY#*:}
  refuses 125 "$port" mydocker run --rm -p "$port:80" -i busybox true
}

@test "malformed -p is refused" {
  local p
  for p in '' : 80: :80: a:80 80:a 0:80x 70000:80 80:70000 80:0 -1:80 1.2.3:80:80 1-3:80-81 3-1:80-82 80:80/icmp 80:80:80:80 '80 :80'; do
    refuses 125 'publish|port|-p' mydocker run --rm -p "$p" -i busybox true
  done
}

@test "malformed -v is refused" {
  local v
  for v in '' : /a: :/ /a:b /tmp:/x:nonsense /tmp:/x:ro:rw:z 'na/me:/x' /tmp:/; do
    refuses 125 'volume|-v' mydocker run --rm -v "$v" -i busybox true
  done
}

@test "malformed -e and --env-file are refused" {
  refuses 125 'variable' mydocker run --rm -e '' -i busybox true
  refuses 125 'variable' mydocker run --rm -e =x -i busybox true
  refuses 125 '/no/such' mydocker run --rm --env-file /no/such -i busybox true
}

@test "malformed sizes, numbers and cpus are refused" {
  local size
  for size in '' x 12q 1.2.3m -5 99999999999999999999 1e3; do
    refuses 125 'memory' mydocker run --rm --memory-limit "$size" -i busybox true
  done
  refuses 125 'cpu' mydocker run --rm --cpuset-cpus 0-999 -i busybox true
  refuses 125 'cpu' mydocker run --rm --cpuset-cpus x -i busybox true
  refuses 125 'mems' mydocker run --rm --cpuset-mems 77 -i busybox true
  refuses 125 'swappiness' mydocker run --rm --memory-swappiness 101 -i busybox true
  refuses 125 'pids' mydocker run --rm --pids-max -5 -i busybox true
  refuses 125 'shares' mydocker run --rm --cpu-shares x -i busybox true
}

@test "malformed and overlapping networks are refused" {
  local cidr
  for cidr in '' x 10.0.0.0 10.0.0.0/33 10.0.0.0/31 300.0.0.0/8 10.20.30.0/24 10.20.0.0/16 10.20.30.128/25 198.51.100.0/25 127.0.0.0/8; do
    refuses 1 '' mydocker network create -s "$cidr" bad
  done
  refuses 1 'mydocker0' mydocker network create -s 10.77.0.0/24 mydocker0
  mydocker network create -s 10.77.0.0/24 mine
  refuses 1 'mine' mydocker network create -s 10.78.0.0/24 mine
  refuses 1 '10\.77\.0\.0/24' mydocker network create -s 10.77.0.0/16 other1
  refuses 1 '' mydocker network create -s 10.79.0.0/24 '../evil'
  refuses 125 'nosuch' mydocker run --rm --net nosuch -i busybox true
}

@test "missing networks and images, and those in use, are refused" {
  mydocker network create -s 10.77.0.0/24 mine
  mydocker run -d --name user --net mine -i busybox sleep 100 >/dev/null
  refuses 1 'mine.*user' mydocker rmn mine
  refuses 1 'busybox.*used by 1' mydocker rmi busybox
  refuses 1 'nosuch' mydocker rmn nosuch
  refuses 1 'nosuch' mydocker rmi nosuch
  refuses 1 'nosuch' mydocker network connect nosuch user
  refuses 1 'nosuch' mydocker network connect mine nosuch
  refuses 1 'mydocker0' mydocker network disconnect mydocker0 user
}

@test "missing and stopped containers are refused" {
  local verb
  for verb in stop start restart rm logs inspect; do
    refuses 1 'nosuch' mydocker $verb nosuch
  done
  refuses 125 'nosuch' mydocker exec nosuch true
  mydocker run --name over -i busybox true
  refuses 125 'over.*not running' mydocker exec over true
}

@test "wrong usage prints one line" {
  refuses 2 'nonsense' mydocker nonsense
  refuses 2 'nonsense' mydocker network nonsense
  refuses 2 'nonsense' mydocker ps --nonsense
  refuses 2 'nonsense' mydocker --nonsense ps
  refuses 125 'nonsense' mydocker run --nonsense
  refuses 125 '' mydocker run
  refuses 2 '' mydocker stop
  refuses 2 '' mydocker rmi
  local tool
  for tool in md-pull md-rootfs md-cgroup md-net md-spawn md-ps; do
    run --separate-stderr $tool --nonsense </dev/null
    [[ $status != 0 && -z $output && ${#stderr_lines[@]} == 1 ]] || fail "$tool: $status: $stderr"
  done
}

@test "missing users and directories are refused" {
  refuses 125 'nosuch' mydocker run --rm -u nosuch -i busybox true
  refuses 125 'user|4294967296' mydocker run --rm -u 4294967296 -i busybox true
  refuses 125 'passwd' mydocker run --rm -w /etc/passwd -i busybox true
  refuses 125 'driver|nosuch' mydocker run --rm -s nosuch -i busybox true
}

@test "a driver that the kernel lacks is refused" {
  grep -q aufs /proc/filesystems && skip 'this kernel has aufs'
  refuses 125 'aufs' mydocker run --rm -s aufs -i busybox true
}

@test "overlay2 on an overlay file system is refused" {
  local dir=$BATS_TEST_TMPDIR
  mkdir "$dir"/{lower,upper,work,on-overlay}
  mount -t overlay overlay -o "lowerdir=$dir/lower,upperdir=$dir/upper,workdir=$dir/work" "$dir/on-overlay"
  local there=(env MYDOCKER_ROOT="$dir/on-overlay/root" MYDOCKER_RUN="$dir/run" mydocker)
  "${there[@]}" pull -q busybox >/dev/null
  refuses 125 'overlay' "${there[@]}" run --rm --net none -i busybox true
  does "${there[@]}" run --rm --net none -s vfs -i busybox echo fine
  same fine "$output"
  umount "$dir/on-overlay"
}

@test "running without root is refused" {
  local nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
  # shellcheck disable=SC2086
  refuses 125 'root|permission denied|operation not permitted' $nobody "$(command -v mydocker)" run --rm -i busybox true
  # shellcheck disable=SC2086
  refuses 1 'root|permission denied' $nobody "$(command -v mydocker)" pull busybox
}
