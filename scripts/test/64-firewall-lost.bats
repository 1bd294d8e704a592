#!/usr/bin/env bats
# What another program breaks of a network that is up is reported by system check, and repaired by the next container that
# starts and by network reload: every table, chain and rule of both families, the bridge, and the host's sysctls.
load lib

setup_file() { warm_up busybox; }
setup() {
  setup_leakcheck
  mydocker network create --ipv6 -s 10.77.1.0/24 -s fd00:77::/64 two >/dev/null
  mydocker network create -s 10.77.2.0/24 four >/dev/null
  mydocker run -d --name web --net two,ip=10.77.1.9 -p 8080:80 -p 8443:443 -p '[::1]:8081:80' busybox httpd -f -p '[::]:80' -h /var/www
  mydocker run -d --name plain --net four busybox sleep 1000
  port=$(jq -r '.endpoints[0].hostLink' "/var/lib/mydocker/containers/$(mydocker ps -q -f name=web)/net.json")
  facts >"$BATS_TEST_TMPDIR/whole"
}
teardown() {
  local tool
  if [[ -d $BATS_TEST_TMPDIR/root ]]; then
    other rm -f box >/dev/null 2>&1 || true
    other network prune >/dev/null
  fi
  for tool in iptables ip6tables; do
    while "$tool" -D FORWARD -j ACCEPT 2>/dev/null; do :; done
    while "$tool" -t mangle -D FORWARD -j ACCEPT 2>/dev/null; do :; done
  done
  teardown_leakcheck
}

# facts prints the state of networks on the host, sorted, except where the order of rules matters.
facts() {
  local tool table link
  for tool in iptables ip6tables; do
    "$tool-save" | awk -v tool="$tool" '/^\*/ {table = $1} /^-A .*MYDOCKER|^:MYDOCKER/ {print tool, table, $1, $2, $3 == "-" ? "" : $0}' |
      sed -E 's/ \[[0-9:]+\]//' | sort
    for table in filter mangle; do
      "$tool" -t "$table" -S FORWARD | sed -n "2,3s/^/first in $tool $table: /p"
    done
  done
  for link in two four; do
    ip -o addr show dev "$link" scope global | sed -E 's/^[0-9]+: //; s/ +/ /g'
    ip -o link show dev "$link" | grep -o '[<,]UP[,>]'
    grep . "/proc/sys/net/ipv4/conf/$link/"{forwarding,route_localnet} "/proc/sys/net/ipv6/conf/$link/"{forwarding,disable_ipv6,accept_ra}
  done
  grep . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding
  ip -o link show dev "$port" | grep -o 'master [a-z]*'
}

whole() { facts | diff "$BATS_TEST_TMPDIR/whole" - || fail "$1"; }

# breaks NETWORK COMMAND... breaks something three times. system check reports it; the next container of the network, network
# reload and system check --fix repair it.
breaks() {
  "${@:2}"
  run mydocker system check
  [[ $status == 1 && $output == *broken* ]] || fail "${*:2}: system check: exit $status" "$output"
  mydocker run --rm --net "$1" busybox true || fail "${*:2}: the next start fails"
  whole "${*:2}: the next start"
  "${@:2}"
  mydocker network reload
  whole "${*:2}: network reload"
}

@test "tables, chains, jumps and rules, of both families: the next container of any network restores them" {
  local tool table
  for tool in iptables ip6tables; do
    for table in filter mangle nat raw; do
      breaks four "$tool" -t "$table" -F
    done
    breaks four "$tool" -D FORWARD -j MYDOCKER-USER
    breaks four "$tool" -t mangle -D FORWARD -j MYDOCKER-FORWARD
    breaks four "$tool" -t nat -D POSTROUTING -j MYDOCKER-MASQUERADE
    breaks four "$tool" -t nat -F MYDOCKER-PUBLISH
    breaks four "$tool" -t nat -D MYDOCKER-PUBLISH 1
    breaks four "$tool" -t mangle -D MYDOCKER-FORWARD 2
    breaks four "$tool" -D MYDOCKER-FORWARD 1
    breaks four "$tool" -t raw -D MYDOCKER-LOOPBACK 1
    breaks four "$tool" -I FORWARD -j ACCEPT
    breaks four "$tool" -t mangle -I FORWARD -j ACCEPT
  done
  breaks four iptables -F MYDOCKER-ISOLATE
  # Rules and policies of other programs stay.
  same 2 "$(iptables -S FORWARD | grep -c -- '-j ACCEPT')"
  breaks four nft delete table ip6 mangle
  breaks four nft flush ruleset
  iptables -P FORWARD DROP
  mydocker network reload
  same '-P FORWARD DROP' "$(iptables -S FORWARD | head -1)"
  iptables -P FORWARD ACCEPT
  does mydocker system check
  same '' "$output"
}

@test "the first container of a network restores the rules of other networks" {
  mydocker network create -s 10.77.3.0/24 late >/dev/null
  iptables -t mangle -F; iptables -t nat -F; ip6tables -F; iptables -D MYDOCKER-FORWARD 1
  mydocker run --rm --net late busybox true
  mydocker rmn late >/dev/null
  whole 'the first container of a network'
}

set_sysctl() { echo "$2" >"/proc/sys/net/$1"; }

@test "addresses, links and sysctls" {
  breaks two ip addr flush dev two scope global
  breaks two ip -6 addr flush dev two scope global
  breaks two ip link set two down
  breaks four ip link set four down
  breaks two ip link set "$port" nomaster
  breaks four ip link set "$port" nomaster
  breaks four set_sysctl ipv4/ip_forward 0
  breaks two set_sysctl ipv6/conf/all/forwarding 0
  breaks two set_sysctl ipv4/conf/two/route_localnet 0
  breaks two set_sysctl ipv6/conf/two/disable_ipv6 1
  breaks two set_sysctl ipv6/conf/two/accept_ra 1
  breaks four set_sysctl ipv6/conf/four/disable_ipv6 0
  local where
  for where in 127.0.0.1:8080 '[::1]:8080' '[::1]:8081' 198.51.100.1:8080; do
    eventually 5 curl -sS -m 2 -o /dev/null "http://$where/"
  done
  eventually 5 ip netns exec other curl -sS -m 2 -o /dev/null http://198.51.100.1:8080/
}

@test "a bridge that was deleted comes back with the links of its containers" {
  local how
  for how in 'network reload' 'run --rm --net two busybox true' 'system check --fix'; do
    ip link del two
    run mydocker system check
    like "broken link $port: " "$output"
    # shellcheck disable=SC2086 # words
    mydocker $how
    whole "$how"
    eventually 5 ip netns exec other curl -sS -m 2 -o /dev/null http://198.51.100.1:8080/
  done
}

@test "legacy tables are read like nft tables" {
  mydocker rm -f web plain >/dev/null
  mydocker network prune >/dev/null
  mydocker rmn mydocker0 >/dev/null
  mkdir "$BATS_TEST_TMPDIR/bin"
  local tool path=$PATH
  for tool in {iptables,ip6tables}{,-save,-restore}; do
    ln -s "$(command -v "${tool/tables/tables-legacy}")" "$BATS_TEST_TMPDIR/bin/$tool"
  done
  PATH=$BATS_TEST_TMPDIR/bin:$PATH
  mydocker network create --ipv6 -s 10.77.1.0/24 -s fd00:77::/64 two >/dev/null
  mydocker network create -s 10.77.2.0/24 four >/dev/null
  mydocker run -d --name web --net two,ip=10.77.1.9 -p 8080:80 -p 8443:443 busybox httpd -f -p '[::]:80' -h /var/www
  mydocker run -d --name plain --net four busybox sleep 1000
  port=$(jq -r '.endpoints[0].hostLink' "/var/lib/mydocker/containers/$(mydocker ps -q -f name=web)/net.json")
  facts >"$BATS_TEST_TMPDIR/whole"
  same legacy "$(cat /run/mydocker/firewall)"
  for tool in iptables ip6tables; do
    breaks four "$tool" -t mangle -F
    breaks four "$tool" -D FORWARD -j MYDOCKER-USER
    breaks four "$tool" -t nat -D MYDOCKER-PUBLISH 1
    breaks four "$tool" -D MYDOCKER-FORWARD 1
    breaks four "$tool" -I FORWARD -j ACCEPT
    "$tool" -D FORWARD -j ACCEPT
    "$tool" -D FORWARD -j ACCEPT
  done
  # A start that finds all rules whole runs no firewall program.
  strace -f -qq -e trace=execve -o "$BATS_TEST_TMPDIR/trace" mydocker run --rm --net four busybox true
  run grep -c iptables "$BATS_TEST_TMPDIR/trace"
  same 0 "$output"
  mydocker rm -f web plain >/dev/null
  mydocker network prune >/dev/null
  PATH=$path
  mydocker run --rm busybox true
}

# other COMMAND... runs mydocker on another state directory of the same host.
other() { MYDOCKER_ROOT=$BATS_TEST_TMPDIR/root MYDOCKER_RUN=$BATS_TEST_TMPDIR/run mydocker "$@"; }

@test "reload leaves the rules of another state directory" {
  rules() { iptables-save | grep -E "mydocker/(net/)?($1)" | sed -E 's/\[[0-9:]+\]//' | sort; }
  other network create -s 10.77.8.0/24 theirs >/dev/null
  other pull busybox >/dev/null
  other run -d --name box --net theirs -p 8088:80 busybox sleep 1000
  local id
  id=$(other ps -q)
  rules "theirs|$id" >"$BATS_TEST_TMPDIR/theirs"
  rules "two|four|$(mydocker ps -q -f name=web)" >"$BATS_TEST_TMPDIR/ours"
  [[ $(wc -l <"$BATS_TEST_TMPDIR/theirs") -gt 5 ]]
  mydocker network reload
  rules "theirs|$id" | diff "$BATS_TEST_TMPDIR/theirs" -
  other network reload
  rules "two|four|$(mydocker ps -q -f name=web)" | diff "$BATS_TEST_TMPDIR/ours" -
  other rm -f box >/dev/null
  other network rm theirs >/dev/null
  whole 'another state directory goes'
}
