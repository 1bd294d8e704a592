#!/usr/bin/env bats
# What networks change on the host: rules in our own chains, restored after a flush, and all gone with the networks.
load lib

setup_file() {
  mydocker pull busybox >/dev/null
  mydocker pull mysql:5.7.25 >/dev/null # and no more: the first test wants a host without a network of ours
}
setup() { [[ $BATS_TEST_NUMBER == 1 ]] || setup_leakcheck; }
teardown() {
  iptables -P FORWARD ACCEPT
  [[ $BATS_TEST_NUMBER == 1 ]] || teardown_leakcheck
}

# host prints everything that a network can change: rules, links, addresses, routes, sysctls, flows of containers.
host() {
  local save
  for save in {iptables,ip6tables}-{nft,legacy}-save; do
    "$save" 2>/dev/null | grep -E '^-A|^:.* - |^:FORWARD DROP' | sed -E "s/ \[[0-9:]+\]//; s/^/$save /" || true
  done
  ip -o link | sed -E 's/^[0-9]+: //; s/@if[0-9]+//'
  ip -o addr | sed -E 's/^[0-9]+: //'
  ip route show table all
  ip -6 route show table all
  sysctl -a 2>/dev/null | grep '^net\.' | grep -v nf_conntrack_count
  # 224.0.0.22: the kernel reports the multicast groups of a new bridge.
  grep -E '10\.20\.3|10\.77\.|=fd' /proc/net/nf_conntrack | grep -v 'dst=224\.0\.0\.22' || true
}

web() { mydocker run -d --name web "$@" -i busybox httpd -f -p '[::]:80' -h /var/www >/dev/null; }

@test "a session leaves rules, links, routes, sysctls and flows unchanged" {
  host >"$BATS_TEST_TMPDIR/one"
  mydocker network create --ipv6 -s 10.77.0.0/24 mine >/dev/null
  mydocker network create --internal closed >/dev/null
  web -p 8080:80 -p 5353:53/udp -p '[::1]:8081:80' -p 9000-9100:9000-9100 --network mine
  local where id
  for where in 127.0.0.1:8080 '[::1]:8080' '[::1]:8081' 198.51.100.1:8080; do
    eventually 5 curl -fsS -m 2 "http://$where/"
  done
  ip netns exec other curl -fsS -m 2 http://198.51.100.1:8080/ >/dev/null
  ip netns exec other bash -c 'echo x >/dev/udp/198.51.100.1/5353'
  mydocker network connect mydocker0 web
  mydocker network connect closed web
  mydocker network disconnect mine web
  eventually 5 curl -fsS -m 2 http://127.0.0.1:8080/
  id=$(mydocker ps -q)
  kill -9 "$(jq .init.pid "/run/mydocker/$id/state.json")"
  eventually 5 sh -c 'mydocker ps | grep -q exited'
  mydocker rm web >/dev/null
  does mydocker network prune
  same $'mine\nclosed' "$output"
  mydocker rmn mydocker0 >/dev/null
  host >"$BATS_TEST_TMPDIR/two"
  diff "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
  warm_up busybox # for the tests that follow
}

@test "a range is one rule, chosen by the user or by us" {
  web -p 9000-9100:9000-9100 -p 3000-3100/udp
  same 2 "$(iptables -t nat -S MYDOCKER-PUBLISH | grep -c DNAT)"
  same 202 "$(mydocker port web | wc -l)"
  local port
  port=$(mydocker port web 3050/udp)
  same "$((${port#*:} + 50))" "$(mydocker port web 3100/udp | cut -d: -f2)"
  mydocker rm -f web >/dev/null
}

@test "-P publishes the exposed ports of the image, and port lists them" {
  mydocker run -d --name db -P -p 127.0.0.1:3306:3306 --entrypoint sleep -i mysql:5.7.25 100 >/dev/null
  does mydocker port db
  like '^3306/tcp -> 127\.0\.0\.1:3306$' "${lines[0]}"
  like '^33060/tcp -> 0\.0\.0\.0:[0-9]+$' "${lines[1]}"
  same 2 "${#lines[@]}"
  does mydocker port db 3306/tcp
  same 127.0.0.1:3306 "$output"
  refuses 1 'port db: port 80 is not published$' mydocker port db 80
  refuses 125 'publish all ports: a container with --network none has no ports of its own$' mydocker run --net none -P -i mysql:5.7.25 true
  mydocker rm -f -v db >/dev/null
}

@test "flushed rules: reload and the next start restore them, with the ports of other containers" {
  mydocker network create --ipv6 mine >/dev/null
  web -p 8080:80 --network mine
  local flush
  for flush in 'iptables -F; iptables -t nat -F; ip6tables -t nat -F' 'nft flush ruleset' 'iptables -t nat -F MYDOCKER-MASQUERADE' \
    'iptables -F FORWARD'; do
    sh -c "$flush"
    does mydocker network reload
    iptables -P FORWARD DROP
    eventually 5 ip netns exec other curl -fsS -m 2 http://198.51.100.1:8080/
    curl -fsS -m 2 'http://[::1]:8080/' >/dev/null
    sh -c "$flush"
    mydocker run --rm --network mine -i busybox true
    iptables -P FORWARD DROP
    eventually 5 ip netns exec other curl -fsS -m 2 http://198.51.100.1:8080/
    curl -fsS -m 2 'http://[::1]:8080/' >/dev/null
    same 1 "$(iptables -t nat -S MYDOCKER-PUBLISH | grep -c DNAT)"
  done
  # Checking changes nothing.
  nft flush ruleset
  for command in ps networks 'network inspect mine' 'port web' 'inspect web' 'logs web' images; do
    # shellcheck disable=SC2086 # words
    mydocker $command >/dev/null 2>&1
  done
  same '' "$(nft list ruleset)"
  mydocker network reload
  mydocker rm -f web >/dev/null
  mydocker rmn mine >/dev/null
}

@test "the user's own chain comes first, and stays" {
  web -p 8080:80
  eventually 5 ip netns exec other curl -fsS -m 2 http://198.51.100.1:8080/
  iptables -I MYDOCKER-USER -o mydocker0 ! -s 192.168.31.0/24 -m conntrack --ctstate NEW -j DROP
  run ip netns exec other curl -fsS -m 1 http://198.51.100.1:8080/
  [[ $status != 0 ]]
  mydocker network reload
  mydocker rm -f web >/dev/null
  mydocker rmn mydocker0 >/dev/null
  same 1 "$(iptables -S MYDOCKER-USER | grep -c DROP)"
  web -p 8080:80
  same '-A FORWARD -j MYDOCKER-USER' "$(iptables -S FORWARD | sed -n 2p)"
  iptables -F MYDOCKER-USER
  mydocker rm -f web >/dev/null
}

@test "from one variant of iptables to the other: reload moves the rules" {
  web -p 8080:80
  same nft "$(cat /run/mydocker/firewall)"
  mkdir "$BATS_TEST_TMPDIR/bin"
  local tool
  for tool in {iptables,ip6tables}{,-save,-restore}; do
    ln -s "$(command -v "${tool/tables/tables-legacy}")" "$BATS_TEST_TMPDIR/bin/$tool"
  done
  # Existing rules keep working there, and a release removes them there.
  PATH=$BATS_TEST_TMPDIR/bin:$PATH mydocker run --rm -p 8081:80 -i busybox true
  same 1 "$(iptables-nft -t nat -S MYDOCKER-PUBLISH | grep -c DNAT)"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH mydocker network reload
  same legacy "$(cat /run/mydocker/firewall)"
  same '' "$(iptables-nft-save | grep MYDOCKER || true)"
  iptables-legacy -P FORWARD DROP
  eventually 5 ip netns exec other curl -fsS -m 2 http://198.51.100.1:8080/
  # Our rules go where other programs' rules are, whatever variant the command iptables is.
  mydocker network reload
  same legacy "$(cat /run/mydocker/firewall)"
  iptables-legacy -P FORWARD ACCEPT
  mydocker network reload
  same nft "$(cat /run/mydocker/firewall)"
  same '' "$(iptables-legacy-save | grep MYDOCKER || true)"
  mydocker rm -f web >/dev/null
}

@test "--debug names the sysctls that are changed" {
  mydocker rmn mydocker0 >/dev/null
  same 0 "$(cat /proc/sys/net/ipv4/ip_forward)"
  run mydocker --debug run --rm -i busybox true
  like 'echo 1 > /proc/sys/net/ipv4/ip_forward' "$output"
  like 'echo 1 > /proc/sys/net/ipv4/conf/mydocker0/route_localnet' "$output"
  same '127.0.0.0/8' "$(iptables -t raw -S MYDOCKER-LOOPBACK | grep -o '127.0.0.0/8')"
  for link in uplink lo all default; do
    same 0 "$(cat "/proc/sys/net/ipv4/conf/$link/route_localnet")"
  done
  same 0 "$(cat /proc/sys/net/ipv6/conf/mydocker0/accept_ra)"
  mydocker rmn mydocker0 >/dev/null
  same 0 "$(cat /proc/sys/net/ipv4/ip_forward)"
  mydocker run --rm -i busybox true
}
