#!/usr/bin/env bats
# Networks are isolated in both families, whatever packets a container sends and whatever rules other programs insert
# before ours.
load lib

setup_file() {
  warm_up busybox
  sysctl -qw net.ipv6.conf.uplink.accept_dad=0
  ip -6 addr add 2001:db8::1/64 dev uplink nodad
  ip -n other -6 addr add 2001:db8::2/64 dev eth0 nodad
}
teardown_file() {
  ip -6 addr del 2001:db8::1/64 dev uplink
  ip -n other -6 addr del 2001:db8::2/64 dev eth0
}
setup() { setup_leakcheck; }
teardown() {
  local tool table
  ip netns exec other iptables -F INPUT
  ip netns exec other ip6tables -F INPUT
  accept_no_more
  for tool in {iptables,ip6tables}-{nft,legacy}; do
    for table in filter mangle; do
      "$tool" -t "$table" -D MYDOCKER-USER -i front -o back -j ACCEPT 2>/dev/null || true
    done
  done
  ip -n other route del 10.77.2.0/24 2>/dev/null || true
  ip -n other -6 route del fd00:77::/64 2>/dev/null || true
  teardown_leakcheck
}

accept_no_more() {
  local tool
  for tool in {iptables,ip6tables}-{nft,legacy}; do
    while "$tool" -D FORWARD -j ACCEPT 2>/dev/null; do :; done
  done
}

# within CONTAINER COMMAND... runs a program of the host with all capabilities in the container's network. A container with
# the default capabilities can send the same packets through a raw socket.
within() {
  nsenter --net="/proc/$(jq .init.pid "/run/mydocker/$(mydocker ps -q -f name="$1")/state.json")/ns/net" "${@:2}"
}

# by_hand CONTAINER BRIDGE gives the container IPv6 addresses and a route over its bridge.
by_hand() {
  local link mac
  mac=$(ip -o link show dev "$2" | sed -nE 's/.*link.ether ([0-9a-f:]+).*/\1/p')
  link=$(within "$1" ip -o -4 route show default | sed -nE 's/.* dev ([^ ]+).*/\1/p')
  [[ -n $link ]] || link=$(within "$1" ip -o link | sed -nE 's/^[0-9]+: (ceth-[^@:]+).*/\1/p')
  within "$1" sysctl -qw "net.ipv6.conf.$link.disable_ipv6=0"
  within "$1" ip -6 addr add fd00:99::5/64 dev "$link" nodad
  within "$1" ip -6 neigh replace fe80::99 lladdr "$mac" dev "$link"
  within "$1" ip -6 route replace default via fe80::99 dev "$link" onlink
}

# watch COMMAND... counts datagrams to UDP port 7000 in the namespace in which COMMAND runs a program; seen prints the count.
# The counters end with the namespace, except in the namespace "other".
watch() {
  "$@" iptables -I INPUT -p udp --dport 7000 -j ACCEPT
  "$@" ip6tables -I INPUT -p udp --dport 7000 -j ACCEPT
}
seen() { for tool in iptables ip6tables; do "$@" "$tool" -nvxL INPUT 1; done | awk '{n += $1} END {print n}'; }

# knock CONTAINER ADDRESS sends datagrams from the container to the address.
knock() {
  # shellcheck disable=SC2016 # for the inner one
  within "$1" bash -c 'for i in 1 2 3; do echo x >"/dev/udp/$0/7000"; done' "$2" 2>/dev/null || true
}

@test "IPv6 is no way around the isolation of networks without it, and each of two defences is enough" {
  mydocker network create --internal -s 10.77.4.0/24 vault >/dev/null
  mydocker network create -s 10.77.1.0/24 plain >/dev/null
  mydocker network create --ipv6 -s 10.77.2.0/24 -s fd00:77::/64 six >/dev/null
  mydocker run -d --name server --net six,ip=10.77.2.9,ip=fd00:77::9 -p 7000:7000/udp busybox sleep 1000
  mydocker run -d --name closed --net vault busybox sleep 1000
  mydocker run -d --name open4 --net plain busybox sleep 1000
  mydocker run -d --name open6 --net six busybox sleep 1000
  same 1 "$(cat /proc/sys/net/ipv6/conf/all/forwarding)"
  same '1 1 0' "$(cd /proc/sys/net/ipv6/conf && echo "$(<vault/disable_ipv6) $(<plain/disable_ipv6) $(<six/disable_ipv6)")"
  by_hand closed vault
  by_hand open4 plain
  local elsewhere=(ip netns exec other) to
  watch "${elsewhere[@]}"
  watch within server
  try() {
    for to in 2001:db8::2 2001:db8::1 fd00:77::9; do
      knock closed "$to"
      knock open4 "$to"
    done
    sleep 0.3
    same "$1: 0 0" "$1: $(seen "${elsewhere[@]}") $(seen within server)"
  }
  try 'as made'
  # Enabling IPv6 for all links leaves the rules.
  sysctl -qw net.ipv6.conf.vault.disable_ipv6=0 net.ipv6.conf.plain.disable_ipv6=0
  try 'with IPv6 on the bridges'
  ip6tables -F
  try 'without the table filter'
  mydocker network reload
  same '1 1 0' "$(cd /proc/sys/net/ipv6/conf && echo "$(<vault/disable_ipv6) $(<plain/disable_ipv6) $(<six/disable_ipv6)")"
  # Flushing the rules leaves the bridges without IPv6.
  ip6tables -F; ip6tables -t mangle -F; ip6tables -t raw -F
  try 'without rules'
  mydocker network reload
  # The path works: a network with IPv6 reaches the outside, and its port answers the other host.
  knock open6 2001:db8::2
  "${elsewhere[@]}" bash -c 'echo x >/dev/udp/2001:db8::1/7000'
  sleep 0.3
  [[ $(seen "${elsewhere[@]}") -gt 0 && $(seen within server) -gt 0 ]]
}

@test "a container that takes an address of another network gets no further" {
  mydocker network create --internal -s 10.77.4.0/24 vault >/dev/null
  mydocker network create --ipv6 -s 10.77.2.0/24 -s fd00:77::/64 back >/dev/null
  mydocker network create --ipv6 -s 10.77.1.0/24 -s fd00:76::/64 front >/dev/null
  mydocker run -d --name server --net back,ip=10.77.2.9,ip=fd00:77::9 busybox sleep 1000
  mydocker run -d --name closed --net vault busybox sleep 1000
  mydocker run -d --name open --net front busybox sleep 1000
  mydocker run -d --name beside --net back busybox sleep 1000
  local elsewhere=(ip netns exec other)
  watch "${elsewhere[@]}"
  watch within server
  within closed ip addr add 10.77.2.77/32 dev lo
  within closed ip route add default via 10.77.4.1 src 10.77.2.77
  within open ip addr add 10.77.2.78/32 dev lo
  within open ip route change default via 10.77.1.1 src 10.77.2.78
  within open ip -6 addr add fd00:77::78/128 dev lo nodad
  within open ip -6 route change default via fd00:76::1 src fd00:77::78
  knock closed 10.77.2.9
  knock closed 198.51.100.2
  knock open 10.77.2.9
  knock open fd00:77::9
  sleep 0.3
  same '0 0' "$(seen "${elsewhere[@]}") $(seen within server)"
  knock beside 10.77.2.9
  knock beside fd00:77::9
  sleep 0.3
  same 6 "$(seen within server)"
}

# beside_others VARIANT inserts accepting rules before ours, as dockerd does when it starts later.
beside_others() {
  local tool
  mydocker network create --internal -s 10.77.4.0/24 vault >/dev/null
  mydocker network create --ipv6 -s 10.77.2.0/24 -s fd00:77::/64 back >/dev/null
  mydocker network create --ipv6 -s 10.77.1.0/24 -s fd00:76::/64 front >/dev/null
  mydocker run -d --name server --net back,ip=10.77.2.9,ip=fd00:77::9 -p 8080:80 busybox \
    sh -c 'httpd -p "[::]:80"; exec httpd -f -p "[::]:81" -h /var/www'
  mydocker run -d --name closed --net vault busybox sleep 1000
  mydocker run -d --name open --net front busybox sleep 1000
  ip -n other route add 10.77.2.0/24 via 198.51.100.1
  ip -n other -6 route add fd00:77::/64 via 2001:db8::1
  watch ip netns exec other
  watch within server
  for tool in iptables ip6tables; do "$tool-$1" -I FORWARD -j ACCEPT; done
  judge() {
    eventually 5 ip netns exec other bash -c 'exec 3<>/dev/tcp/198.51.100.1/8080' || return
    eventually 5 ip netns exec other bash -c 'exec 3<>/dev/tcp/2001:db8::1/8080' || return
    local to
    for to in 10.77.2.9 fd00:77::9; do
      ip netns exec other bash -c "for i in 1 2 3; do echo x >/dev/udp/$to/7000; done"
      knock open "$to"
      knock closed "$to"
    done
    within closed ip route replace default via 10.77.4.1
    knock closed 198.51.100.2
    sleep 0.3
    same "$1: 0 0" "$1: $(seen ip netns exec other) $(seen within server)"
  }
  judge 'the moment that they are there'
  mydocker network reload
  judge 'after a reload'
  for tool in iptables ip6tables; do
    same "-A FORWARD -j MYDOCKER-USER -A FORWARD -j MYDOCKER-FORWARD -A FORWARD -j ACCEPT" \
      "$("$tool-$1" -S FORWARD | sed 1d | xargs)" # and not one of others is touched
    "$tool-$1" -I FORWARD -j ACCEPT
  done
  mydocker run --rm --net front busybox true
  for tool in iptables ip6tables; do
    same "-A FORWARD -j MYDOCKER-USER -A FORWARD -j MYDOCKER-FORWARD" "$("$tool-$1" -S FORWARD | sed -n 2,3p | xargs)"
  done
  judge 'after a start'
}

@test "rules of another program before ours let nothing in or out: iptables-nft" { beside_others nft; }

@test "rules of another program before ours let nothing in or out: iptables-legacy" {
  mydocker rmn mydocker0 >/dev/null
  mkdir "$BATS_TEST_TMPDIR/bin"
  local tool
  for tool in {iptables,ip6tables}{,-save,-restore}; do
    ln -s "$(command -v "${tool/tables/tables-legacy}")" "$BATS_TEST_TMPDIR/bin/$tool"
  done
  PATH=$BATS_TEST_TMPDIR/bin:$PATH
  beside_others legacy
  same legacy "$(cat /run/mydocker/firewall)"
  mydocker rm -f server closed open >/dev/null
  mydocker network prune >/dev/null
  accept_no_more # or our rules go there again
  PATH=${PATH#*:}
  mydocker run --rm busybox true # the default network is there again, for the leak check
}

@test "an exception from the isolation is the user's: in MYDOCKER-USER, of both tables" {
  mydocker network create -s 10.77.2.0/24 back >/dev/null
  mydocker network create -s 10.77.1.0/24 front >/dev/null
  mydocker run -d --name server --net back,ip=10.77.2.9 busybox sleep 1000
  mydocker run -d --name open --net front busybox sleep 1000
  watch within server
  iptables -I MYDOCKER-USER -i front -o back -j ACCEPT
  knock open 10.77.2.9
  sleep 0.3
  same 0 "$(seen within server)"
  iptables -t mangle -I MYDOCKER-USER -i front -o back -j ACCEPT
  mydocker network reload
  knock open 10.77.2.9
  sleep 0.3
  same 3 "$(seen within server)"
}
