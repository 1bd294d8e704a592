#!/usr/bin/env bats
# Behaviour of `mydocker run` and related commands that the README does not specify: streams, exit codes, the
# program's environment.
load lib

setup_file() { warm_up busybox odd; }
setup() { setup_leakcheck; }
teardown() { teardown_leakcheck; }

@test "run exits with the program's code" {
  run mydocker run --rm -i busybox sh -c 'exit 7'
  same 7 "$status"
  run mydocker run --rm --init -i busybox sh -c 'kill -TERM $$'
  same 143 "$status"
  refuses 126 '/etc/passwd' mydocker run --rm -i busybox /etc/passwd
  refuses 127 'nonsense' mydocker run --rm -i busybox nonsense
}

@test "the image needs no -i, and flags after it belong to the program" {
  does mydocker run --rm busybox echo -n --name x
  same '--name x' "$output"
  does mydocker run --rm -i busybox:latest -- echo hello
  same hello "$output"
}

@test "run -d prints 12 hex digits and nothing else" {
  does mydocker run -d -i busybox sleep 100
  like "$id_form" "$output"
  same 1 "${#lines[@]}"
}

@test "run, exec and logs keep stdout and stderr apart" {
  local both='echo out; echo err >&2; echo out2'
  run --separate-stderr mydocker run --name talker -i busybox sh -c "$both"
  same $'out\nout2' "$output"
  same err "$stderr"
  run --separate-stderr mydocker logs talker
  same $'out\nout2' "$output"
  same err "$stderr"
  mydocker start talker >/dev/null
  mydocker run -d --name idle -i busybox sleep 100 >/dev/null
  run --separate-stderr mydocker exec idle sh -c "$both"
  same $'out\nout2' "$output"
  same err "$stderr"
}

@test "stdin reaches the program unchanged, with binary data" {
  head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/noise"
  mydocker run --rm --interactive -i busybox cat <"$BATS_TEST_TMPDIR/noise" | cmp - "$BATS_TEST_TMPDIR/noise"
  mydocker run -d --name cat -i busybox sleep 100 >/dev/null
  mydocker exec --interactive cat cat <"$BATS_TEST_TMPDIR/noise" | cmp - "$BATS_TEST_TMPDIR/noise"
}

@test "docker's -i is told from the README's: -it, -i -t, -dit, and -i before another option" {
  on_terminal() { script -qec "$1" /dev/null </dev/null | tr -d '\r'; }
  same $'a\nb' "$(printf 'a\nb\n' | mydocker run -i --rm busybox cat)"
  like '/dev/' "$(on_terminal 'mydocker run -it --rm busybox tty')"
  like '/dev/' "$(on_terminal 'mydocker run -i -t --rm --net none busybox tty')"
  like '/dev/' "$(on_terminal 'mydocker run --rm -ti busybox tty')"
  local options
  for options in -dit -itd '-d -i -t' '-idt --net none' '-itdp 8080:80'; do
    # shellcheck disable=SC2086 # several words
    mydocker run $options --name box busybox sh >/dev/null
    same 'running true true' "$(mydocker inspect -f '{{.State.Status}} {{.Config.OpenStdin}} {{.Config.Tty}}' box)"
    mydocker rm -f box >/dev/null
  done
  mydocker create -it --name box busybox sh >/dev/null
  same 'true true' "$(mydocker inspect -f '{{.Config.OpenStdin}} {{.Config.Tty}}' box)"
  mydocker rm box >/dev/null
  same 'hello -it' "$(mydocker run --rm -i busybox echo hello -it)" # the README's
  refuses 125 'run: no image: name one with -i, or as the first argument' mydocker run -it
}

@test "docker's spellings: -h, volumes with z and cached, the network bridge, name= and ip6= of a network" {
  same web "$(mydocker run --rm --net none -h web busybox hostname)"
  like '^NAME:' "$(mydocker run -h)"
  local options
  for options in z Z ro,z cached delegated consistent; do
    mydocker run --rm --net none -v "$BATS_TEST_TMPDIR:/d:$options" busybox test -d /d
  done
  refuses 125 'option "y": want' mydocker run --rm --net none -v "$BATS_TEST_TMPDIR:/d:y" busybox true
  networks() { mydocker inspect -f '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}' box; }
  mydocker network create -s 10.1.1.0/24 na >/dev/null
  mydocker run -d --name box --net bridge --net name=na,ip=10.1.1.9,alias=db,mac-address=02:42:0a:09:00:09 busybox sleep 100 >/dev/null
  same 'mydocker0 na ' "$(networks)"
  same '02:42:0a:09:00:09' "$(mydocker exec box sh -c 'cat /sys/class/net/*/address' | grep ^02:42:0a)"
  does mydocker network disconnect bridge box
  same 'na ' "$(networks)"
  does mydocker network connect bridge box
  same 'mydocker0 na ' "$(networks)"
  mydocker rm -f box >/dev/null
  mydocker run -d --name box --network na --network-alias db2 --ip 10.1.1.10 --mac-address 02:42:0a:09:00:0a busybox sleep 100 >/dev/null
  same '10.1.1.10 02:42:0a:09:00:0a' "$(mydocker inspect -f '{{with index .NetworkSettings.Networks "na"}}{{.IPAddress}} {{.MacAddress}}{{end}}' box)"
  like '10.1.1.10' "$(mydocker run --rm --net na busybox grep db2 /etc/hosts)"
  refuses 125 'network host: a container with it has no address' mydocker run --rm --net host --ip 10.1.1.11 busybox true
  refuses 125 'network mydocker0: named twice' mydocker run --rm --net bridge --net mydocker0 busybox true
  mydocker rm -f box >/dev/null
  mydocker network create -s 10.1.2.0/24 bridge >/dev/null # a network of this name is meant then
  mydocker run -d --name box --net bridge busybox sleep 100 >/dev/null
  same 'bridge ' "$(networks)"
  mydocker rm -f box >/dev/null
  mydocker network rm bridge na >/dev/null
}

@test "run --pull: always, never, missing" {
  run -0 --separate-stderr mydocker run --rm --net none --pull always busybox echo hello
  same hello "$output"
  like 'Pulling from library/busybox' "$stderr"
  like 'md-pull --stderr -- busybox ' "$(mydocker run --print --pull always busybox true)"
  unlike md-pull "$(mydocker run --print --pull missing busybox true)"
  run -0 --separate-stderr mydocker run --rm --net none --pull never busybox echo hello
  same '' "$stderr"
  mydocker rmi busybox >/dev/null
  refuses 125 'run busybox: image "busybox": not found' mydocker run --rm --net none --pull never busybox true
  refuses 125 'run busybox: image "busybox": not found' mydocker run --print --pull never busybox true
  refuses 1 'create busybox: image "busybox": not found' mydocker create --pull=never busybox
  refuses 125 '--pull must be one of' mydocker run --pull often busybox true
  run -0 --separate-stderr mydocker run --rm --net none --pull missing busybox echo hello
  same hello "$output"
}

@test "a last line without newline is printed" {
  local n
  for n in 1 2 3 4 5; do
    same "tail $n" "$(mydocker run --rm --net none -i busybox printf 'tail %d' $n)"
  done
}

@test "the environment comes from the image, --env-file and -e, and not from the host" {
  printf '# comment\nA=file\nB=file # no comment\nQ="quoted"\nHOSTS\n' >"$BATS_TEST_TMPDIR/env"
  HOSTS=mine LEAK=1 does mydocker run --rm --env-file "$BATS_TEST_TMPDIR/env" -e A=flag -e COPIED -e SPACED='x y=z' \
    --hostname box -i busybox env
  for line in A=flag 'B=file # no comment' 'Q="quoted"' HOSTS=mine 'SPACED=x y=z' HOME=/root HOSTNAME=box \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; do
    [[ $'\n'$output$'\n' == *$'\n'"$line"$'\n'* ]] || fail "missing: $line" "$output"
  done
  unlike 'LEAK|COPIED|TERM=|MYDOCKER' "$output"
}

@test "the image sets user, directory, entrypoint, command and environment" {
  does mydocker run --rm odd
  same 'two words from cmd' "$output"
  does mydocker run --rm odd mine
  same 'two words mine' "$output"
  does mydocker run --rm --entrypoint sh odd -c 'id; pwd; echo "$SPACED $HOME"; stat -c "%u:%g %a" . /data /data/seed; cat /data/seed'
  same 'uid=1234(app) gid=2345(app) groups=2345(app),3456(extra)' "${lines[0]}"
  same /srv/app/work "${lines[1]}"
  same 'a b=c /srv/app' "${lines[2]}"
  like '^1234:2345 ' "${lines[4]}"
  same seed "${lines[6]}"
}

@test "-u, -w, --hostname and --label are applied" {
  does mydocker run --rm -u nobody -w /tmp --hostname box -i busybox sh -c 'id -u; id -g; pwd; hostname; cat /etc/hostname; grep -c localhost /etc/hosts'
  same $'65534\n65534\n/tmp\nbox\nbox\n2' "$output"
  does mydocker run --rm -u 1000:2000 -i busybox id
  like 'uid=1000 gid=2000' "$output"
  does mydocker run -d --name labelled --label a=b --label c -i busybox sleep 100
  mydocker inspect labelled 2>/dev/null | grep -q '"a": "b"'
}

@test "--read-only and --tmpfs are applied" {
  does mydocker run --rm --read-only --tmpfs /scratch:size=1m -i busybox sh -c \
    'touch /x 2>/dev/null || echo ro; touch /scratch/x && echo rw; df -k /scratch | tail -1 | awk "{print \$2}"'
  same $'ro\nrw\n1024' "$output"
}

@test "--init runs as PID 1, forwards signals and reaps" {
  does mydocker run -d --init --name init -i busybox sleep 100
  like 'md-spawn|init' "$(mydocker exec init cat /proc/1/cmdline | tr '\0' ' ')"
  local start=$SECONDS
  mydocker stop init
  ((SECONDS - start < 5)) || fail 'stop took the whole time-out'
}

@test "bind mounts: directory, file, read-only, and a missing source is created" {
  mkdir "$BATS_TEST_TMPDIR/dir"
  echo text >"$BATS_TEST_TMPDIR/file"
  does mydocker run --rm -v "$BATS_TEST_TMPDIR/dir:/mnt/d" -v "$BATS_TEST_TMPDIR/file:/mnt/f:ro" -i busybox sh -c \
    'echo made >/mnt/d/x; cat /mnt/f; echo no 2>/dev/null >/mnt/f || echo ro'
  same $'text\nro' "$output"
  same made "$(cat "$BATS_TEST_TMPDIR/dir/x")"
  run --separate-stderr mydocker run --rm -v "$BATS_TEST_TMPDIR/new:/n" -i busybox ls -d /n
  same 0 "$status"
  like 'warning: .*/new' "$stderr"
  [[ -d $BATS_TEST_TMPDIR/new ]]
}

@test "named volumes are kept, anonymous ones are removed by --rm, both are filled from the image" {
  does mydocker run --rm -v keep:/data --entrypoint cat odd /data/seed
  same seed "$output"
  does mydocker run --rm -u root -v keep:/data --entrypoint sh odd -c 'echo kept >/data/more'
  does mydocker run --rm -v keep:/v -i busybox cat /v/more
  same kept "$output"
  does mydocker run --rm -v /data --entrypoint cat odd /data/seed
  same seed "$output"
  same keep "$(ls /var/lib/mydocker/volumes)"
  rm -rf /var/lib/mydocker/volumes/keep
}

@test "each container has its own files" {
  mydocker run --name one -i busybox sh -c 'echo 1 >/etc/mine; rm /etc/group'
  run mydocker run --rm -i busybox ls /etc/mine /etc/group
  like '/etc/mine: No such file' "$output"
  like $'/etc/group' "$output"
}

@test "overlay2 and vfs give the same files" {
  local driver
  for driver in overlay2 vfs; do
    does mydocker run --rm -s "$driver" -i busybox sh -c 'cat /var/www/index.html; stat -c %a /tmp; touch /bin/new; ls /bin/new'
    same $'hello from busybox\n1777\n/bin/new' "$output"
  done
}

@test "ps has -q and --format json, and shows exit codes" {
  mydocker run --name gone -i busybox sh -c 'exit 3' || true
  does mydocker run -d --name here -i busybox sleep 100
  local id=$output
  does mydocker ps
  like $'\tgone\tbusybox(:latest)?\texited' "$(cells <<<"$output")"
  does mydocker ps -q
  like "$id" "$output"
  same 2 "${#lines[@]}"
  same 2 "$(mydocker ps --format json | jq -s length)"
}

@test "a name, an id or an unambiguous prefix of an id identifies a container" {
  does mydocker run -d --name web -i busybox sleep 100
  local id=$output arg
  for arg in web "$id" "${id:0:6}"; do
    does mydocker exec "$arg" hostname
  done
}

@test "logs has --tail, --since and -t, and -f follows to the end" {
  mydocker run -d --name counter -i busybox sh -c 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done' >/dev/null
  same $'1\n2\n3\n4\n5\n6' "$(timeout 10 mydocker logs -f counter)"
  same $'5\n6' "$(mydocker logs --tail 2 counter)"
  same '' "$(mydocker logs --tail 0 counter)"
  like '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{9}(Z|[+-][0-9:]{5}) 1' "$(mydocker logs -t counter)"
  same $'1\n2\n3\n4\n5\n6' "$(mydocker logs --since 1m counter)"
  sleep 1
  same '' "$(mydocker logs --since 500ms counter)"
}

@test "stop sends TERM, or the signal of -s, then KILL after -t, and keeps the exit code" {
  mydocker run -d --name deaf -i busybox sh -c 'trap "" TERM; while :; do sleep 0.1; done' >/dev/null
  sleep 0.3
  local start=$SECONDS
  mydocker stop -t 1 deaf
  ((SECONDS - start <= 4)) || fail "took $((SECONDS - start)) s"
  mydocker ps --format json | grep -q 137
  mydocker run -d --name polite -i busybox sh -c 'trap "exit 5" USR1; while :; do sleep 0.1; done' >/dev/null
  sleep 0.3
  mydocker stop -s USR1 polite
  mydocker ps --format json | grep -qE '\b5\b'
}

@test "start and restart keep id, files, environment and address, and append to the log" {
  mydocker run -d --name again -e K=V -i busybox sh -c 'echo "run $K"; date >>/times; sleep 100' >/dev/null
  local id ip
  id=$(mydocker ps -q)
  ip=$(address again)
  mydocker stop -t 0 again
  same "$id" "$(mydocker start again)"
  same "$id"$'\n'"$id" "$(mydocker restart -t 0 again)"
  eventually 5 bash -c "[[ \$(mydocker exec again wc -l /times) == '3 /times' ]]"
  same $'run V\nrun V\nrun V' "$(mydocker logs again)"
  same "$ip" "$(address again)"
}

@test "a command with several containers prints ids in order and continues after errors" {
  local a b
  a=$(mydocker run -d --name aa -i busybox sleep 100)
  b=$(mydocker run -d --name bb -i busybox sleep 100)
  run --separate-stderr mydocker stop -t 0 aa nobody bb
  same 1 "$status"
  same "$a"$'\n'"$b" "$output"
  like 'nobody' "$stderr"
  same 1 "${#stderr_lines[@]}"
  same "$a"$'\n'"$b" "$(mydocker rm aa bb)"
}

@test "rm refuses a running container; rm -f kills it" {
  local id
  id=$(mydocker run -d --name busy -i busybox sleep 100)
  refuses 1 'busy.*running' mydocker rm busy
  same "$id" "$(mydocker rm -f busy)"
}

@test "exec has the container's environment, user, directory and limits" {
  mydocker run -d --name odd -e K=V --entrypoint sleep odd 100 >/dev/null
  does mydocker exec odd sh -c 'id -un; pwd; echo $K'
  same $'app\n/srv/app/work\nV' "$output"
  does mydocker exec -u root -w / -e K=W odd sh -c 'id -un; pwd; echo $K'
  same $'root\n/\nW' "$output"
  run mydocker exec odd sh -c 'exit 9'
  same 9 "$status"
  run -127 mydocker exec odd nonsense
  does md-spawn exec --cwd / -g 4321 --no-new-privs odd sh -c 'pwd; grep NoNewPrivs /proc/self/status; grep -o " 4321" /proc/self/status'
  same $'/\nNoNewPrivs:\t1\n 4321' "$output"
  same "$(mydocker exec odd cat /proc/1/cgroup)" "$(mydocker exec odd cat /proc/self/cgroup)"
}

@test "exec -d outlives its caller and ends with the container" {
  mydocker run -d --name behind busybox sleep 100 >/dev/null
  local tool
  for tool in mydocker md-spawn; do
    does timeout 5 $tool exec -d behind sh -c 'ls -l /proc/$$/fd >/streams; echo >&2; sleep 0.5; echo over >/end; exec sleep 4321'
    same '' "$output"
    eventually 5 mydocker exec behind grep -q over /end
    same 3 "$(mydocker exec behind grep -c ' -> /dev/null$' /streams)"
    same 1 "$(mydocker top behind | grep -c 'sleep 4321')"
    mydocker exec behind rm /end /streams
    pkill -xf 'sleep 4321'
  done
  refuses 127 'exec behind: .*nonsense' mydocker exec -d behind nonsense
  refuses 125 'exec behind: .*no input and no terminal' mydocker exec -dt behind true
  refuses 125 'exec behind: .*no input and no terminal' mydocker exec -di behind true
  mydocker exec -d behind sleep 4322
  mydocker rm -f behind
  run ! pgrep -xf 'sleep 4322'
}

@test "run forwards SIGINT and SIGTERM to the program" {
  mydocker run --rm --name sig -i busybox sh -c 'trap "echo caught; exit 4" TERM; echo ready; while :; do sleep 0.1; done' \
    >"$BATS_TEST_TMPDIR/out" 3>&- &
  local run=$!
  eventually 10 grep -q ready "$BATS_TEST_TMPDIR/out"
  kill -TERM $run
  local code=0
  wait $run || code=$?
  same 4 "$code"
  same $'ready\ncaught' "$(cat "$BATS_TEST_TMPDIR/out")"
}

@test "program and monitor inherit no descriptor of the caller" {
  does mydocker run --rm -i busybox ls /proc/self/fd 7</etc/passwd
  same $'0\n1\n2\n3' "$output" # descriptor 3 is opened by ls
  mydocker run -d -i busybox sleep 100 7<"$BATS_TEST_FILENAME" >/dev/null
  same '' "$(find /proc/[0-9]*/fd -lname "$BATS_TEST_FILENAME" 2>/dev/null | grep -v "^/proc/$$/")"
}

@test "two state directories work side by side" {
  mydocker run --net none --name twin -i busybox true
  local other=(env MYDOCKER_ROOT="$BATS_TEST_TMPDIR/root" MYDOCKER_RUN="$BATS_TEST_TMPDIR/run" mydocker)
  "${other[@]}" pull -q busybox >/dev/null
  "${other[@]}" run --net none --name twin -i busybox true
  same 1 "$("${other[@]}" ps -q | wc -l)"
  same 1 "$(mydocker ps -q | wc -l)"
  "${other[@]}" rm twin
}
