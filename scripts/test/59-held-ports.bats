#!/usr/bin/env bats
# While a container runs, no other program can bind its published host ports, and only the container's monitor has a
# descriptor of them.
load lib

setup_file() {
  warm_up busybox
  cat >"$BATS_FILE_TMPDIR/bind" <<'PY'
# bind PROTOCOL ADDRESS PORT binds with SO_REUSEADDR and SO_REUSEPORT, and prints "free" or the error.
import socket, sys
protocol, address, port = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
try:
    s.bind((address, int(port)))
    if protocol == "tcp":
        s.listen()
    print("free")
except OSError as e:
    print(e.strerror)
PY
}
setup() { setup_leakcheck; }
teardown() { teardown_leakcheck; }

taken() { same 'Address already in use' "$(python3 "$BATS_FILE_TMPDIR/bind" "$@")" || fail "$* can be bound"; }
free() { same free "$(python3 "$BATS_FILE_TMPDIR/bind" "$@")" || fail "$* cannot be bound"; }

# monitor CONTAINER prints the pid of its monitor.
sockets() { find "/proc/$1/fd" -lname 'socket:*' | wc -l; }

@test "every protocol, address and port of a range is in use, and no other" {
  mydocker network create --ipv6 six >/dev/null
  mydocker run -d --name web -p 8080:80 -p 127.0.0.1:8081:81 -p '[::1]:8082:82' -p 9000-9003:9000-9003/udp --network six busybox httpd -f -p 80 >/dev/null
  taken tcp 0.0.0.0 8080
  taken tcp 127.0.0.1 8080
  taken tcp 198.51.100.1 8080
  taken tcp :: 8080
  taken tcp 127.0.0.1 8081
  taken tcp 0.0.0.0 8081
  free tcp 198.51.100.1 8081
  taken tcp ::1 8082
  free tcp 127.0.0.1 8082
  taken udp 0.0.0.0 9000
  taken udp 127.0.0.1 9003
  taken udp ::1 9003
  free udp 0.0.0.0 9004
  free tcp 0.0.0.0 9000
  curl -s -o /dev/null -m 3 http://127.0.0.1:8080/ # what is held is led to the container all the same
  mydocker rm -f web >/dev/null
  free tcp 0.0.0.0 8080
  free udp 0.0.0.0 9000
}

@test "from start to stop, across restarts and connects" {
  mydocker network create -s 10.77.0.0/24 mine >/dev/null
  mydocker run -d --name web --restart always -p 8080:80 busybox sh -c 'mkdir -p /tmp; httpd -p 80 -h /var/www; sleep 0.3' >/dev/null
  for _ in {1..12}; do
    taken tcp 0.0.0.0 8080
    sleep 0.1
  done
  mydocker rm -f web >/dev/null
  free tcp 0.0.0.0 8080

  mydocker run -d --name web -p 8080:80 busybox httpd -f -p 80 -h /var/www >/dev/null
  mydocker network connect mine web
  taken tcp 0.0.0.0 8080
  mydocker network disconnect mydocker0 web
  taken tcp 0.0.0.0 8080
  eventually 3 curl -sf -m 3 http://127.0.0.1:8080/
  mydocker network disconnect mine web
  taken tcp 0.0.0.0 8080
  refuses 125 'publish 80/tcp: port 8080 is taken by container web' mydocker run --rm -p 8080:80 busybox true
  run ! curl -s -m 3 http://127.0.0.1:8080/
  mydocker network connect mine web
  eventually 3 curl -sf -m 3 http://127.0.0.1:8080/
  mydocker stop -t 0 web >/dev/null
  free tcp 0.0.0.0 8080
  mydocker start web >/dev/null
  taken tcp 0.0.0.0 8080
  mydocker restart -t 0 web >/dev/null
  taken tcp 0.0.0.0 8080
  kill -KILL "$(monitor web)"
  eventually 3 free tcp 0.0.0.0 8080
  does mydocker start web
  taken tcp 0.0.0.0 8080
}

@test "in the foreground, passed to a monitor, and at the end of the pipe" {
  mydocker run --rm --name web -p 8080:80 busybox sleep 100 &
  eventually 5 taken tcp 0.0.0.0 8080
  mydocker rm -f web >/dev/null
  wait
  free tcp 0.0.0.0 8080

  run -3 mydocker run --name again --restart on-failure -p 8080:80 busybox sh -c 'sleep 0.5; exit 3'
  for _ in {1..6}; do
    taken tcp 0.0.0.0 8080
    sleep 0.1
  done
  same 1 "$(sockets "$(monitor again)")"
  mydocker rm -f again >/dev/null
  free tcp 0.0.0.0 8080

  md-rootfs mount busybox sleep 100 | md-net attach -p 8080:80 | md-spawn run &
  eventually 5 taken tcp 0.0.0.0 8080
  mydocker rm -f "$(mydocker ps -q)" >/dev/null
  wait
  free tcp 0.0.0.0 8080
}

@test "no program of the container has the sockets, and nothing listens" {
  mydocker run -d --name web --init --restart always -p 8080:80 -p 9000:9000/udp busybox sleep 1000 >/dev/null
  local pid
  pid=$(jq .init.pid /run/mydocker/*/state.json)
  same 0 "$(sockets "$pid")"
  same 2 "$(sockets "$(monitor web)")"
  unlike socket "$(mydocker exec web ls -l /proc/self/fd)"
  kill -KILL "$pid" # and it is started again, by a monitor that was handed the sockets
  eventually 5 sh -c "now=\$(jq .init.pid /run/mydocker/*/state.json) && [ \$now != $pid ] && [ -d /proc/\$now/fd ]"
  eventually 5 mydocker exec web true
  same 0 "$(sockets "$(jq .init.pid /run/mydocker/*/state.json)")"
  same 2 "$(sockets "$(monitor web)")"
  same '' "$(ss -Hltn 'sport = :8080')"
  # The container has no IPv6 address: an IPv6 client sees at once that nothing answers.
  run -1 python3 -c 'import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(3); s.connect(("::1", 9000)); s.send(b"x"); s.recv(9)'
  like 'ConnectionRefusedError' "$output"
}

@test "connections in TIME_WAIT do not keep a port from a container" {
  python3 -c 'import socket
s = socket.create_server(("0.0.0.0", 8080)); c = socket.create_connection(("127.0.0.1", 8080)); a, _ = s.accept(); a.close(); c.close()'
  like ':8080' "$(ss -Hatn state time-wait 'sport = :8080')"
  does mydocker run -d --name web -p 8080:80 busybox sleep 100
  taken tcp 0.0.0.0 8080
}
