#!/usr/bin/env bats
# Containers find each other: names, ids and aliases, in each of their networks and in no other.
load lib

setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() { teardown_leakcheck; }

sleeper() {
  mydocker run -d --name "$@" -i busybox sleep 100
}

# finds CONTAINER NAME prints the addresses of a name in the container.
finds() { mydocker exec "$1" cat /etc/hosts | awk -v name="$2" '!/^#/ {for (i = 2; i <= NF && $i !~ /^#/; i++) if ($i == name) print $1}'; }

@test "containers find each other and themselves by name, id and alias" {
  mydocker network create -s 10.77.0.0/24 mine >/dev/null
  local web db
  web=$(sleeper web --hostname front --network mine,alias=www,alias=web.example)
  db=$(sleeper db --network mine)
  for name in web "$web" www web.example; do
    same 10.77.0.2 "$(finds db "$name")"
    same 10.77.0.2 "$(finds web "$name")"
  done
  same 10.77.0.2 "$(finds web front)"
  same '' "$(finds db front)"
  same 10.77.0.3 "$(finds web db)"
  same 10.77.0.3 "$(finds web "$db")"
  # Also through the resolver, not only in the file.
  does mydocker exec db ping -c 1 -W 1 www
  like '10\.77\.0\.2' "$output"
}

@test "a container is found only while it runs" {
  sleeper one >/dev/null
  sleeper two >/dev/null
  local address
  address=$(address one)
  same "$address" "$(finds two one)"
  mydocker stop -t 0 one >/dev/null
  same '' "$(finds two one)"
  same 'one' "$(jq -r '.names[0]' "/var/lib/mydocker/containers/$(mydocker ps -q -f name=one)/net.json")"
  mydocker start one >/dev/null
  same "$address" "$(finds two one)"
  same "$(address two)" "$(finds one two)"
  mydocker rm -f one >/dev/null
  same '' "$(finds two one)"
}

@test "killed with its monitor: the next command removes its name" {
  local id run
  sleeper two >/dev/null
  id=$(sleeper one)
  run=$(cat "/run/mydocker/$id/state.json")
  kill -9 "$(jq .monitor.pid <<<"$run")" "$(jq .init.pid <<<"$run")"
  eventually 5 sh -c 'mydocker run --rm -i busybox true && ! mydocker exec two grep -w one /etc/hosts'
}

@test "found after connect, not after disconnect; the other networks do not change" {
  mydocker network create -s 10.77.0.0/24 mine >/dev/null
  sleeper web >/dev/null
  sleeper db --network mine >/dev/null
  same '' "$(finds web db)"
  local before
  before=$(mydocker exec web ip -o link | grep ceth)
  does mydocker network connect --ip 10.77.0.77 --alias www mine web
  same "$before" "$(mydocker exec web ip -o link | grep ceth | head -1)"
  same 10.77.0.77 "$(finds db web)"
  same 10.77.0.77 "$(finds db www)"
  same 10.77.0.2 "$(finds web db)"
  does mydocker network disconnect mine web
  same '' "$(finds db web)$(finds db www)$(finds web db)"
  same "$(address web)" "$(finds web web)"
}

@test "connect and disconnect a stopped container: its names and address are there when it starts" {
  mydocker network create -s 10.77.0.0/24 mine >/dev/null
  sleeper web >/dev/null
  sleeper db --network mine >/dev/null
  mydocker stop -t 0 web >/dev/null
  does mydocker network connect --ip 10.77.0.77 --alias www mine web
  same '' "$(finds db www)"
  mydocker start web >/dev/null
  same 10.77.0.77 "$(finds db www)"
  mydocker stop -t 0 web >/dev/null
  does mydocker network disconnect mine web
  mydocker start web >/dev/null
  same '' "$(finds db www)"
  refuses 1 'network disconnect web: network mine: container web is not connected$' mydocker network disconnect mine web
  does mydocker network disconnect -f mine web
}

@test "two networks with containers of the same aliases" {
  mydocker network create -s 10.77.0.0/24 one >/dev/null
  mydocker network create -s 10.78.0.0/24 two >/dev/null
  for network in one two; do
    sleeper "db-$network" --network "$network,alias=db" >/dev/null
    sleeper "web-$network" --network "$network,alias=web" >/dev/null
  done
  same 10.77.0.2 "$(finds web-one db)"
  same 10.78.0.2 "$(finds web-two db)"
  same 10.77.0.3 "$(finds db-one web)"
  same '' "$(finds web-one web-two)"
  sleeper both --network one --network two >/dev/null
  same $'10.77.0.2\n10.78.0.2' "$(finds both db)"
}

@test "lines that the container or the user wrote stay" {
  sleeper web --add-host ours:198.51.100.2 --add-host gate:host-gateway >/dev/null
  mydocker exec web sh -c 'printf "192.0.2.1\tmine" >>/etc/hosts' # without an end of the line
  sleeper db >/dev/null
  same "$(address db)" "$(finds web db)"
  same 192.0.2.1 "$(finds web mine)"
  mydocker rm -f db >/dev/null
  mydocker restart -t 0 web >/dev/null
  same '' "$(finds web db)"
  same 192.0.2.1 "$(finds web mine)"
  same 198.51.100.2 "$(finds web ours)"
  same 10.20.30.1 "$(finds web gate)"
  # A file that the user mounts stays unchanged.
  echo '192.0.2.9 own' >"$BATS_TEST_TMPDIR/hosts"
  sleeper own -v "$BATS_TEST_TMPDIR/hosts:/etc/hosts" >/dev/null
  same '192.0.2.9 own' "$(cat "$BATS_TEST_TMPDIR/hosts")"
  same "$(address own)" "$(finds web own)"
}

@test "a container that shares a network shares its names; none and host have their own" {
  mydocker network create -s 10.77.0.0/24 mine >/dev/null
  sleeper web --network mine >/dev/null
  sleeper sidecar --network container:web >/dev/null
  same 10.77.0.2 "$(finds sidecar web)"
  sleeper db --network mine >/dev/null
  same 10.77.0.3 "$(finds sidecar db)"
  same '' "$(finds db sidecar)"
  mydocker rm -f sidecar >/dev/null
  sleeper alone --network none >/dev/null
  same 127.0.0.1 "$(finds alone alone)"
  sleeper host --network host --hostname box >/dev/null
  same 127.0.0.1 "$(finds host box)"
}

@test "resolv.conf: servers, domains, options" {
  does mydocker run --rm --dns 198.51.100.2 --dns-search example.org --dns-search example.net --dns-option ndots:2 --dns-option rotate -i busybox cat /etc/resolv.conf
  same $'nameserver 198.51.100.2\nsearch example.org example.net\noptions ndots:2 rotate' "$output"
  refuses 125 'DNS search domain "a b"' mydocker run --rm --dns-search 'a b' -i busybox true
  refuses 125 'host "x": want NAME:ADDRESS$' mydocker run --rm --add-host x -i busybox true
  refuses 125 'host "x:y": want an IP address, or host-gateway$' mydocker run --rm --add-host x:y -i busybox true
}

@test "refused endpoint options leave nothing" {
  mydocker network create -s 10.77.0.0/28 mine >/dev/null
  sleeper web --network mine,ip=10.77.0.9 >/dev/null
  refuses 125 'network mine: address 10.77.0.9: taken by container web$' mydocker run --network mine,ip=10.77.0.9 -i busybox true
  refuses 125 "network mine: address 10.77.0.1 is the gateway's$" mydocker run --network mine,ip=10.77.0.1 -i busybox true
  refuses 125 'network mine: address 10.77.0.15 is not a host address in 10.77.0.0/28$' mydocker run --network mine,ip=10.77.0.15 -i busybox true
  refuses 125 'network mine: address fd00::1: the network has no IPv6$' mydocker run --network mine,ip=fd00::1 -i busybox true
  refuses 1 'network connect web: network mydocker0: address "ten": want an IPv4 or IPv6 address' mydocker network connect --ip ten mydocker0 web
  same web "$(mydocker ps --format '{{.Name}}')"
}

@test "fifty at once: fifty addresses, and each finds all others" {
  mydocker network create -s 10.77.0.0/24 mine >/dev/null
  seq 50 | xargs -P 50 -I{} mydocker run -d --name c{} --network mine,alias=a{} -i busybox sleep 100 >"$BATS_TEST_TMPDIR/ids"
  same 50 "$(sort -u "$BATS_TEST_TMPDIR/ids" | wc -l)"
  same 50 "$(mydocker ps --format '{{index .IPs 0}}' | sort -u | wc -l)"
  local i
  for i in c1 c25 c50; do
    same 50 "$(mydocker exec "$i" grep -cE '[[:space:]]a[0-9]+[[:space:]]' /etc/hosts)"
  done
  mydocker ps -q | xargs -P 10 -n 5 mydocker rm -f >/dev/null
}
