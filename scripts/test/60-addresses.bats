#!/usr/bin/env bats
# Addresses and names with several users on a host, at once or in turn: routes of the host, the next container with an
# address, two state directories, hosts files.
# shellcheck disable=SC2030,SC2031 # one test has its own $sets
load lib

setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() {
  local id set
  for set in one two; do
    [[ ! -d $sets/$set/networks ]] || {
      for id in $("$set" ps -q); do "$set" rm -f -v "$id" >/dev/null; done
      for id in $("$set" networks | awk 'NR > 1 {print $1}'); do "$set" network rm "$id" >/dev/null; done
    }
  done
  ip route flush table 99 2>/dev/null || true
  for id in 1 2 3 4 5; do ip route flush exact "10.20.3$id.0/24"; done
  for id in 1 2; do ip -6 route flush exact "fd00:3$id::/64"; done
  ip nexthop del id 7 2>/dev/null || true
  sysctl -q net.ipv4.nexthop_compat_mode=1
  ip addr del 10.20.36.9/32 dev lo 2>/dev/null || true
  ip addr del 2001:db8::1/64 dev uplink 2>/dev/null || true
  ip -n other addr del 2001:db8::2/64 dev eth0 2>/dev/null || true
  ! mountpoint -q /var/lib/again || umount -l /var/lib/again
  rm -rf --one-file-system /run/one /run/two /var/lib/sets /var/lib/ddd* /var/lib/link /var/lib/again
  [[ -z ${listener-} ]] || kill "$listener" 2>/dev/null || true
  ip netns delete first 2>/dev/null || true
  ip netns delete second 2>/dev/null || true
  teardown_leakcheck
}

sets=/var/lib/sets
one() { MYDOCKER_ROOT=$sets/one MYDOCKER_RUN=/run/one mydocker "$@"; }
two() { MYDOCKER_ROOT=$sets/two MYDOCKER_RUN=/run/two mydocker "$@"; }
pull_sets() {
  mkdir -p "$sets/one" "$sets/two"
  one pull -q busybox >/dev/null
  two pull -q busybox >/dev/null
}

subnet() { mydocker network inspect "$1" 2>/dev/null | jq -r .IPNet; }

@test "a route of the host keeps its addresses from networks, of whatever kind it is" {
  local net n
  ip nexthop add id 7 via 198.51.100.2 dev uplink
  uplink_v6
  sysctl -q net.ipv4.nexthop_compat_mode=0
  ip route add 10.20.31.0/24 nexthop via 198.51.100.2 nexthop via 198.51.100.3
  ip route add blackhole 10.20.32.0/24
  ip route add unreachable 10.20.33.0/24
  ip route add prohibit 10.20.34.0/24
  ip route add 10.20.35.0/24 nhid 7
  ip addr add 10.20.36.9/32 dev lo
  ip route add 10.20.37.0/24 via 198.51.100.2 table 99
  ip -6 route add blackhole fd00:32::/64
  ip -6 route add fd00:31::/64 nexthop via 2001:db8::2 nexthop via 2001:db8::3
  for n in 1 2; do
    does mydocker network create "auto$n"
    same "10.20.$((37 + n)).0/24" "$(subnet "auto$n")"
    does mydocker run --rm --network "auto$n" busybox true
  done
  for net in 10.20.31.0/25 10.20.32.0/25 10.20.33.0/25 10.20.34.0/25 10.20.35.0/25 10.20.36.0/24 fd00:32::/64 fd00:31::/80; do
    refuses 1 "subnet $net overlaps .*: an? (route|address) of this host" mydocker network create -s "$net" asked
  done
  # A policy routing table is no reason to refuse a subnet: as with VRFs, its addresses can be different ones.
  does mydocker network create -s 10.20.37.0/24 asked
  for net in auto1 auto2 asked; do mydocker network rm "$net" >/dev/null; done
}

# python CONTAINER-ARGS... runs the host's python in a container.
with_python=(-v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro)
ask() {
  cat <<PY
import socket
s = socket.socket(socket.$1, socket.SOCK_DGRAM); s.settimeout(10); s.bind(("", 9200))
s.sendto(b"x", ("$2", 7100)); s.recvfrom(99)
PY
}

# The other host has IPv6 during a test.
uplink_v6() {
  ip addr add 2001:db8::1/64 dev uplink nodad
  ip -n other addr add 2001:db8::2/64 dev eth0 nodad
}

# talker starts a server on the other host for some seconds, and sets $listener to its pid.
talker() {
  ip netns exec other python3 -c '
import select, socket, time
four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); four.bind(("0.0.0.0", 7100))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1); six.bind(("::", 7100))
peers = {}
while True:
    for s in select.select([four, six], [], [], .05)[0]: peers[s.recvfrom(99)[1]] = s
    for p, s in list(peers.items()):
        try: s.sendto(b"meant for the first\n", p)
        except OSError: pass' 3>&- >/dev/null 2>&1 &
  listener=$!
  eventually 5 sh -c 'ip netns exec other ss -Hlun | grep -q :7100'
}

# flows ADDRESS prints the kernel's flows of an address.
flows() { grep -E "(src|dst)=$(python3 -c 'import ipaddress, sys; print(ipaddress.ip_address(sys.argv[1]).exploded)' "$1") " /proc/net/nf_conntrack || true; }

@test "what is sent to a container that is gone does not reach the next one" {
  talker
  mydocker network create -s 10.1.1.0/24 na >/dev/null
  mydocker run --rm --net na,ip=10.1.1.78 "${with_python[@]}" busybox /usr/bin/python3 -c "$(ask AF_INET 198.51.100.2)"
  mkdir "$BATS_TEST_TMPDIR/got"
  mydocker run -d --name next --net na,ip=10.1.1.78 "${with_python[@]}" -v "$BATS_TEST_TMPDIR/got:/got" busybox /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 9200)); open("/got/ready", "w")
data = s.recvfrom(99)[0]; open("/got/next", "wb").write(data)' >/dev/null
  eventually 5 test -e "$BATS_TEST_TMPDIR/got/ready"
  sleep 0.5
  [[ ! -e $BATS_TEST_TMPDIR/got/next ]] || fail "it got: $(cat "$BATS_TEST_TMPDIR/got/next")"
}

@test "the flows of an address go with it: IPv6, disconnect, attached namespaces, and an owner that was killed" {
  local id link
  uplink_v6
  talker
  mydocker network create -s 10.1.1.0/24 -s fd00:11::/64 na >/dev/null
  mydocker run --rm --net na,ip=10.1.1.78,ip=fd00:11::78 "${with_python[@]}" busybox /usr/bin/python3 -c "$(ask AF_INET6 2001:db8::2)"
  same '' "$(flows fd00:11::78)"

  mydocker run -d --name stays --net na,ip=10.1.1.79 "${with_python[@]}" busybox /usr/bin/python3 -c "$(ask AF_INET 198.51.100.2)
import time
time.sleep(1000)" >/dev/null
  eventually 5 sh -c 'grep -q src=10.1.1.79 /proc/net/nf_conntrack'
  mydocker network disconnect na stays
  same '' "$(flows 10.1.1.79)"

  ip netns add first
  id=$(md-net attach --netns first --net na,ip=10.1.1.80)
  ip netns exec first python3 -c "$(ask AF_INET 198.51.100.2)"
  like 'src=10.1.1.80' "$(flows 10.1.1.80)"
  md-net detach "$id"
  same '' "$(flows 10.1.1.80)"

  md-net attach --netns first --net na,ip=10.1.1.81 >/dev/null
  ip netns exec first python3 -c "$(ask AF_INET 198.51.100.2)"
  link=$(ip netns exec first sh -c 'cat /sys/class/net/ceth-*/iflink')
  ip netns delete first
  eventually 5 sh -c "! ip -o link | grep -q '^$link: '" # the kernel deletes a namespace's links later
  like 'src=10.1.1.81' "$(flows 10.1.1.81)"
  ip netns add second
  md-net attach --netns second --net na,ip=10.1.1.81 >/dev/null # it takes the lease of the lost one
  same '' "$(flows 10.1.1.81)"
  ip netns delete second
}

@test "a lease on a container's own hosts file does not block other containers" {
  local kind start
  mydocker network create n1 >/dev/null
  mydocker network create n2 >/dev/null
  for kind in WRLCK RDLCK; do
    mydocker run -d --name hostile --net n1 "${with_python[@]}" busybox /usr/bin/python3 -c "
import fcntl, os, signal, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
f = os.open('/etc/hosts', os.O_RDWR if '$kind' == 'WRLCK' else os.O_RDONLY)
fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_$kind)
open('/tmp/has', 'w')
while True: time.sleep(1)" >/dev/null
    eventually 5 mydocker exec hostile test -e /tmp/has
    start=$SECONDS
    mydocker network connect n2 hostile &
    sleep 0.2
    timeout 60 mydocker run --rm --net n1 busybox true
    wait
    does mydocker network disconnect n2 hostile
    does mydocker stop -t 0 hostile
    mydocker rm hostile >/dev/null
    ((SECONDS - start < 15)) || fail "$kind: it took $((SECONDS - start)) s"
  done
}

@test "two sets of state with long paths have bridges of their own" {
  sets=/var/lib/$(printf 'd%.0s' {1..180})
  pull_sets
  one network create web >/dev/null
  one run -d --name a1 --network web -p 8061:80 busybox httpd -f -h /var/www >/dev/null
  two network create web >/dev/null # it was taken for a bridge that is left from before, and removed
  two run -d --name a2 --network web -p 8062:80 busybox httpd -f -h /var/www >/dev/null
  [[ $(one ps --format '{{.IPs}}') != "$(two ps --format '{{.IPs}}')" ]]
  curl -sf -m 3 127.0.0.1:8061 >/dev/null
  curl -sf -m 3 127.0.0.1:8062 >/dev/null
  two rm -f a2 >/dev/null
  two network rm web >/dev/null
  curl -sf -m 3 127.0.0.1:8061 >/dev/null
}

@test "two sets of state: the same names, addresses and ports of both keep apart" {
  pull_sets
  local set
  one network create web >/dev/null
  two network create web >/dev/null
  same "$(one network inspect web 2>/dev/null | jq -r .IPNet)" "$(two network inspect web 2>/dev/null | jq -r .IPNet)"
  # The first containers of both state directories at once, in a network of each and in the default networks.
  one run -d --name srv --network web -p 8061:80 busybox httpd -f -h /var/www >/dev/null &
  two run -d --name srv --network web -p 8062:80 busybox httpd -f -h /var/www >/dev/null &
  one run -d --name idle busybox sleep 1000 >/dev/null &
  two run -d --name idle busybox sleep 1000 >/dev/null &
  wait
  same 4 "$( (one ps --format '{{.IPs}}'; two ps --format '{{.IPs}}') | cut -d. -f1-3 | sort -u | wc -l)"
  curl -sf -m 3 127.0.0.1:8061 >/dev/null
  curl -sf -m 3 127.0.0.1:8062 >/dev/null
  for port in 8061:80 127.0.0.1:8061:80; do
    run -125 --separate-stderr two run --rm -p "$port" busybox true
    like 'publish 80/tcp: port 8061 is taken by another program on this host$' "$stderr"
  done
  # A running and a prepared container of one are no orphans for the other.
  export MYDOCKER_ROOT=$sets/two MYDOCKER_RUN=/run/two
  md-rootfs mount --name prepared busybox true | md-cgroup create --pids-max 20 | md-net attach -p 8063:80 >"$BATS_TEST_TMPDIR/config.json"
  unset MYDOCKER_ROOT MYDOCKER_RUN
  for set in one mydocker; do
    same '' "$("$set" system check --fix)"
  done
  curl -sf -m 3 127.0.0.1:8062 >/dev/null
  MYDOCKER_ROOT=$sets/two MYDOCKER_RUN=/run/two md-spawn run <"$BATS_TEST_TMPDIR/config.json"
  # Removing the last network of one keeps forwarding and the common rules for the other.
  one rm -f srv idle >/dev/null
  one network rm web >/dev/null
  one network rm mydocker0 >/dev/null
  same 1 "$(cat /proc/sys/net/ipv4/ip_forward)"
  curl -sf -m 3 127.0.0.1:8062 >/dev/null
}

@test "a state directory can be named by different paths" {
  pull_sets
  ln -s "$sets" /var/lib/link
  mkdir -p /var/lib/again
  mount --bind "$sets" /var/lib/again
  one run -d --name srv -p 8061:80 busybox httpd -f -h /var/www >/dev/null
  local path bridges
  bridges=$(ip -br link show type bridge | wc -l)
  for path in /var/lib/link/one /var/lib/again/one "$sets/two/../one/"; do
    by() { MYDOCKER_ROOT=$path MYDOCKER_RUN=/run/one mydocker "$@"; }
    does by run --rm busybox true
    does by system check
    same '' "$output"
    curl -sf -m 3 127.0.0.1:8061 >/dev/null
  done
  same "$bridges" "$(ip -br link show type bridge | wc -l)"
}
