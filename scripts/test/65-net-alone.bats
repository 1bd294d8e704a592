#!/usr/bin/env bats
# md-net alone: for any process and namespace, and with programs of the host.
load lib

setup_file() { warm_up busybox; }
setup() {
  setup_leakcheck
  ip netns add box
}
teardown() {
  ip netns del box
  teardown_leakcheck
}

@test "attach a named namespace: an id on stdout, which all other commands accept" {
  does md-net attach --netns box -p 8081:80
  like "$id_form" "$output"
  local id=$output
  does md-net inspect "$id"
  same '/run/netns/box 10.20.30.2/24' "$(jq -r '.netns + " " + .endpoints[0].address' <<<"$output")"
  same "$(mydocker ps -q)" ''
  ip netns exec box busybox httpd -f -p 80 -h /etc 3>&- &
  local httpd=$!
  eventually 5 curl -fs http://127.0.0.1:8081/hostname
  same "$(cat /etc/hostname)" "$(ip netns exec other curl -fsS -m 5 http://198.51.100.1:8081/hostname)"
  does md-net create -s 10.77.0.0/24 more
  does md-net connect more "$id"
  like '10\.77\.0\.2/24' "$(md-net exec --netns box -- ip -4 addr)"
  does md-net disconnect more "$id"
  does md-net rm more
  kill $httpd
  does md-net detach "$id"
  does md-net detach "$id"
  same ' lo' "$(ip -n box -o link | cut -d: -f2)"
}

@test "attach a process under a given id; its end frees everything" {
  unshare --net sleep 60 3>&- &
  local pid=$!
  eventually 5 sh -c "[ \$(readlink /proc/$pid/ns/net) != \$(readlink /proc/self/ns/net) ]"
  does md-net attach --pid $pid --id 0123456789ab
  same 0123456789ab "$output"
  does md-net exec 0123456789ab busybox ping -c 1 -W 1 10.20.30.1
  refuses 1 'attach: 0123456789ab is attached already$' md-net attach --netns box --id 0123456789ab
  kill $pid
  eventually 5 sh -c 'md-net list | grep -q "^mydocker0 .* 0  "'
  refuses 125 'exec 0123456789ab: namespace /proc/[0-9]+/ns/net is gone$' md-net exec 0123456789ab true
  does md-net attach --netns box
  same 10.20.30.2/24 "$(md-net inspect "$output" | jq -r '.endpoints[0].address')"
  local id=$output
  sleep 60 3>&- &
  pid=$!
  does md-net detach --pid $pid # is of another namespace
  same 10.20.30.2/24 "$(md-net inspect "$id" | jq -r '.endpoints[0].address')"
  kill $pid
  does md-net detach --netns box
  refuses 1 . md-net inspect "$id"
  same ' lo' "$(ip -n box -o link | cut -d: -f2)"
  does md-net detach --netns box
  refuses 2 'want an id, --pid or --netns' md-net detach
  refuses 2 'want an id, --pid or --netns' md-net detach --netns box "$id"
  refuses 1 'nosuch' md-net detach --netns nosuch
}

@test "exec: a host's program in the network of a container, by name; exit codes, streams, signals" {
  mydocker run -d --name web -i busybox httpd -f -p 80 -h /var/www >/dev/null
  does md-net exec web -- curl -fsS http://127.0.0.1/
  same 'hello from busybox' "$output"
  same x "$(md-net exec web cat <<<x)"
  run --separate-stderr md-net exec web sh -c 'echo out; echo err >&2; exit 7'
  same '7 out err' "$status $output $stderr"
  run md-net exec web sh -c 'kill -TERM $$'
  same 143 "$status"
  refuses 127 'exec: run no-such-program: executable file not found in \$PATH$' md-net exec web no-such-program
  refuses 127 'exec: run /no/such: no such file or directory$' md-net exec web /no/such
  refuses 126 'exec: run /etc/passwd: permission denied$' md-net exec web /etc/passwd
  refuses 125 'exec: container "nosuch": not found$' md-net exec nosuch true
  refuses 125 'exec: want the name of a container and a command$' md-net exec web
  refuses 125 'exec: want a command$' md-net exec --netns box --
  refuses 125 'exec: --pid and --netns exclude each other$' md-net exec --netns box --pid 1 true
  mydocker stop -t 0 web >/dev/null
  refuses 125 'exec web: it is not running$' md-net exec web true
  # A signal goes to the program itself.
  md-net exec --netns box -- sleep 60 3>&- &
  local pid=$!
  eventually 5 grep -q sleep "/proc/$pid/comm"
  kill -TERM $pid
  local code=0
  wait $pid || code=$?
  same 143 $code
}

@test "what attach refuses leaves nothing" {
  refuses 1 'attach: open /run/netns/nosuch: no such file' md-net attach --netns nosuch
  refuses 1 "attach: .* is the host's own network namespace$" md-net attach --pid $$
  refuses 2 'attach: --pid and --netns need no document$' md-net attach --netns box --spec /dev/null
  refuses 1 'attach: --pid and --netns exclude each other$' md-net attach --netns box --pid 1
  refuses 2 'attach: --id: the document has the id$' md-net attach --id 0123456789ab <<<'{"ociVersion": "1.0.0"}'
  # The id cannot be printed.
  run sh -c 'md-net attach --netns box >/dev/full'
  same 1 "$status"
}
