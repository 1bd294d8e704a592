#!/usr/bin/env bats
# Networks as a user sees them: ports from every side, names, several networks, another program's firewall.
load lib

setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() {
  iptables -P FORWARD ACCEPT
  teardown_leakcheck
}

web() {
  mydocker run -d --name web -p 8080:80 -i busybox httpd -f -p 80 -h /var/www >/dev/null
}
get() { "$@" curl -fsS -m 5 "http://$where:8080/"; }

@test "a published port answers localhost, the host's address and another host" {
  web
  local where
  for where in 127.0.0.1 198.51.100.1 10.20.30.1; do
    eventually 5 get env
    same 'hello from busybox' "$(get env)"
  done
  where=198.51.100.1
  same 'hello from busybox' "$(get ip netns exec other)"
}

@test "a published port answers although FORWARD drops" {
  iptables -P FORWARD DROP
  web
  local where=198.51.100.1
  eventually 5 get ip netns exec other
  iptables -P FORWARD ACCEPT
}

@test "a port that is not published does not answer another host" {
  mydocker run -d --name web -i busybox httpd -f -p 80 -h /var/www >/dev/null
  run ip netns exec other curl -fsS -m 1 http://198.51.100.1:80/
  [[ $status != 0 ]]
}

@test "a container reaches the outside with the host's address" {
  ip netns exec other busybox httpd -f -p 198.51.100.2:8000 -h /etc 3>&- &
  local httpd=$!
  does mydocker run --rm -i busybox sh -c 'ip route | head -1; wget -q -O - http://198.51.100.2:8000/hostname'
  kill $httpd
  like '^default via 10\.20\.30\.1 dev ceth-[0-9a-f]{8}' "${lines[0]}"
  same "$(cat /etc/hostname)" "${lines[1]}"
}

@test "--net none has only lo; --net NAME an address of that network" {
  does mydocker run --rm --net none -i busybox sh -c 'ip -o link | cut -d: -f2; ping -c 1 -W 1 127.0.0.1 >/dev/null && echo up'
  same $' lo\nup' "$output"
  mydocker network create -s 10.77.0.0/24 mine >/dev/null
  does mydocker run --rm --net mine -i busybox sh -c 'ip -o -4 addr | grep -o "10\.77\.0\.[0-9]*/24"'
  same 10.77.0.2/24 "$output"
}

@test "connect, then disconnect the first: the port still answers" {
  mydocker network create -s 10.77.0.0/24 mine >/dev/null
  web
  does mydocker network connect mine web
  does mydocker network disconnect mine web
  local where=198.51.100.1
  eventually 5 get ip netns exec other
}

@test "resolv.conf has the README's servers, or those of --dns" {
  does mydocker run --rm -i busybox grep nameserver /etc/resolv.conf
  same $'nameserver 8.8.8.8\nnameserver 8.8.4.4' "$output"
  does mydocker run --rm --dns 198.51.100.2 -i busybox grep nameserver /etc/resolv.conf
  same 'nameserver 198.51.100.2' "$output"
}

@test "addresses are free again when containers go" {
  local _
  for _ in 1 2 3; do
    mydocker run -d --name short -i busybox sleep 100 >/dev/null
    same 10.20.30.2 "$(address short)"
    mydocker rm -f short
  done
}
