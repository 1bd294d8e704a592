#!/usr/bin/env bats
# cp, rename, export, import, history, and docker's groups container and image.
load lib

setup_file() { warm_up busybox; }
setup() {
  setup_leakcheck
  cd "$BATS_TEST_TMPDIR" || return
}
teardown() {
  teardown_leakcheck
}

@test "cp: files and directories into a container, by docker's rules about the target" {
  mydocker run -d --name web busybox sleep 100 >/dev/null
  mkdir -p dir/sub
  echo one >file
  echo two >dir/sub/two
  chmod 640 file
  chown 7:8 file
  inside() { mydocker exec web "$@"; }
  does mydocker cp file web:/srv
  same "one 640 0:0" "$(inside cat /srv) $(inside stat -c '%a %u:%g' /srv)" # a new file
  does mydocker cp -a file web:/srv
  same 7:8 "$(inside stat -c %u:%g /srv)" # over it
  does mydocker cp file web:/tmp
  does mydocker cp file web:/tmp/
  same one "$(inside cat /tmp/file)"
  refuses 1 'cp web: copy to web:/nosuch/: no such directory' mydocker cp file web:/nosuch/
  refuses 1 'cp web: copy to web:/nosuch/x: .*no such' mydocker cp file web:/nosuch/x
  refuses 1 'cp web: copy to web:/srv/: not a directory' mydocker cp file web:/srv/
  refuses 1 'cp web: copy file/: not a directory' mydocker cp file/ web:/tmp
  does mydocker cp dir web:/new # becomes it
  same two "$(inside cat /new/sub/two)"
  does mydocker cp dir web:/new # goes into it
  same two "$(inside cat /new/dir/sub/two)"
  does mydocker cp dir/. web:/tmp
  same two "$(inside cat /tmp/sub/two)"
  same 1777 "$(inside stat -c %a /tmp)"
  (cd dir && does mydocker cp . web:/opt/)
  same two "$(inside cat /opt/sub/two)"
  refuses 1 'cp web: copy to web:/srv: a directory cannot replace a file' mydocker cp dir web:/srv
  does mydocker cp file web:etc/relative # to its root
  same one "$(inside cat /etc/relative)"
  does mydocker cp file web:/etc/hosts # stays a bind mount
  same one "$(inside cat /etc/hosts)"
  refuses 1 'cp web: copy nosuch: no such file' mydocker cp nosuch web:/tmp
  refuses 2 'cp: neither place is in a container' mydocker cp file other
  refuses 2 'cp: copy from one container to another' mydocker cp web:/a web:/b
  refuses 1 'cp nosuch: .*not found' mydocker cp file nosuch:/tmp
  echo colon >a:b
  does mydocker cp ./a:b web:/tmp
  same colon "$(inside cat /tmp/a:b)"
}

@test "cp: out of a container, of one that runs and of one that does not, with its volumes" {
  mydocker run -d --name web -v data:/data busybox sh -c '
    echo kept >/data/file; mkdir -p /d/sub; echo x >/d/sub/x; ln -s sub/x /d/link; ln /d/sub/x /d/hard
    chown 5:6 /d/sub/x; chmod 4755 /d/sub/x; mkfifo /d/fifo; sleep 100' >/dev/null
  eventually 5 mydocker exec web test -p /d/fifo
  local state
  for state in running stopped; do
    rm -rf out && mkdir out
    does mydocker cp web:/etc/passwd out
    like ^root: "$(<out/passwd)"
    does mydocker cp web:/data/file out/renamed
    same kept "$(<out/renamed)"
    does mydocker cp web:/d out
    same sub/x "$(readlink out/d/link)"
    same "$(stat -c %i out/d/sub/x)" "$(stat -c %i out/d/hard)"
    same "755 0:0" "$(stat -c '%a %u:%g' out/d/sub/x)"
    [[ -p out/d/fifo ]]
    does mydocker cp -a web:/d/. out/kept
    same "4755 5:6" "$(stat -c '%a %u:%g' out/kept/sub/x)"
    does mydocker cp web:/d/link out/
    [[ -L out/link ]]
    does mydocker cp -L web:/d/link out/followed
    same x "$(<out/followed)"
    same $'d/\nd/fifo\nd/hard\nd/link\nd/sub/\nd/sub/x' "$(mydocker cp web:/d - | tar t)"
    same passwd "$(mydocker cp web:/etc/passwd - | tar t)"
    tar c -C out followed | mydocker cp - web:/data
    does mydocker cp web:/data/followed out/back
    same x "$(<out/back)"
    truncate -s 64K sparse && echo x >>sparse
    tar c -S --format=gnu sparse | mydocker cp - web:/data
    does mydocker cp web:/data/sparse out/sparse
    cmp sparse out/sparse
    rm sparse
    refuses 1 'cp web: copy an archive to web:/data/file: not a directory' mydocker cp - web:/data/file <out/back
    refuses 1 'cp web: read archive: ' mydocker cp - web:/data <out/back
    refuses 1 'cp web: copy web:/nosuch: no such file' mydocker cp web:/nosuch .
    [[ $state == stopped ]] || mydocker stop -t 0 web >/dev/null
  done
  same exited "$(mydocker ps --format '{{.Status}}')"
  does mydocker start web
  same kept "$(mydocker exec web cat /data/file)"
  mydocker rm -f web >/dev/null
  mydocker volume rm data >/dev/null
}

@test "cp: no link of a container leads to the host" {
  mydocker run -d --name web busybox sh -c '
    ln -s /../../../../etc/shadow /file; ln -s / /root-link; ln -s /proc/1/root /magic; ln -s ../../.. /up; touch /own; sleep 100' >/dev/null
  eventually 5 mydocker exec web test -e /own
  echo mine >evil
  does mydocker cp evil web:/root-link/../up/landed
  [[ ! -e /landed ]]
  same mine "$(mydocker exec web cat /landed)"
  does mydocker cp -L web:/up/own out
  [[ -f out ]]
  refuses 1 'cp web: copy web:/magic/etc/passwd: too many levels' mydocker cp -L web:/magic/etc/passwd out2
  does mydocker cp web:/file link
  same /../../../../etc/shadow "$(readlink link)"
  # nor does one of an archive
  mkdir t && ln -s /etc t/etc-link
  tar cf evil.tar -C t etc-link
  mkdir -p u/etc-link && echo x >u/etc-link/made
  tar rf evil.tar -C u etc-link/made
  tar rf evil.tar -P --transform 's,^,../../../../,' evil
  mydocker cp - web:/tmp <evil.tar
  same x "$(mydocker exec web cat /etc/made)"
  [[ ! -e /etc/made ]]
  same mine "$(mydocker exec web cat /tmp/evil)"
}

@test "cp: read-only containers and volumes are, and ids are those of the container's users" {
  mkdir shared
  mydocker run -d --name ro --read-only -v "$PWD/shared:/shared" -v "$PWD/shared:/fixed:ro" busybox sleep 100 >/dev/null
  echo x >file
  local state
  for state in running stopped; do
    refuses 1 'read-only file system' mydocker cp file ro:/file
    refuses 1 'read-only file system' mydocker cp file ro:/fixed/file
    does mydocker cp file ro:/shared/file
    same x "$(<shared/file)"
    rm shared/file
    mydocker stop -t 0 ro >/dev/null
  done
  mydocker run -d --name users --userns 100000:200000:1000 busybox sleep 100 >/dev/null
  chown 5:6 file
  for state in running stopped; do
    does mydocker cp file users:/plain
    does mydocker cp -a file users:/kept
    does mydocker cp -a users:/kept "out-$state"
    same 5:6 "$(stat -c %u:%g "out-$state")"
    mydocker stop -t 0 users >/dev/null
  done
  mydocker start users >/dev/null
  same "0:0 5:6" "$(mydocker exec users stat -c %u:%g /plain /kept | xargs)"
  chown 5000 file
  refuses 1 'cp users: unpack .kept.: user id 5000: not mapped by the container' mydocker cp -a file users:/kept
}

@test "cp: killed in the middle of an archive it leaves nothing, and the container starts" {
  mydocker create --name web busybox sleep 100 >/dev/null
  mkfifo pipe
  mydocker cp - web:/tmp <pipe 3>&- &
  exec 9>pipe
  head -c 512 /dev/zero >&9
  sleep 0.5
  kill -9 $!
  wait $! || true
  exec 9>&-
  same 0 "$(grep -c "$(mydocker ps -lq)" /proc/self/mountinfo || true)"
  does mydocker start web
}

@test "rename: of one that runs, which others find by the new name, and of one that does not" {
  mydocker run -d --name web busybox sleep 100 >/dev/null
  mydocker run -d --name other busybox sleep 100 >/dev/null
  mydocker create --name still busybox true >/dev/null
  does mydocker rename web www
  same "" "$output"
  same www "$(mydocker ps -f status=running --format '{{.Name}}' | grep w)"
  like '^[0-9]' "$(mydocker exec other getent hosts www || mydocker exec other grep -w www /etc/hosts)"
  unlike web "$(mydocker exec other cat /etc/hosts)$(mydocker exec www cat /etc/hosts)"
  like www "$(mydocker exec www cat /etc/hosts)"
  refuses 1 'inspect web: ' mydocker inspect web
  does mydocker rename still quiet
  same created "$(mydocker ps -f name=quiet --format '{{.Status}}')"
  refuses 1 'rename www: name other is taken by container [0-9a-f]{12}' mydocker rename www other
  refuses 1 'rename www: name is already www' mydocker rename www www
  refuses 1 'rename www: container name "-x": want' mydocker rename www -- -x
  refuses 1 'rename nosuch: .*not found' mydocker rename nosuch x1
  does mydocker rename other web # the old name is free
  mydocker rm -f www >/dev/null
  same $'quiet\nweb' "$(ls /var/lib/mydocker/names)"
}

@test "export: the root of a container, without its volumes, as an archive" {
  mydocker run -d --name web -v data:/data busybox sh -c 'echo x >/data/in-volume; echo y >/made; sleep 100' >/dev/null
  eventually 5 mydocker exec web test -e /made
  local state
  for state in running stopped; do
    mydocker export web >out.tar
    same y "$(tar -xOf out.tar made)"
    like bin/busybox "$(tar t -f out.tar)"
    unlike 'in-volume|proc/1' "$(tar t -f out.tar)"
    does mydocker export -o file.tar web
    cmp out.tar file.tar
    mydocker stop -t 0 web >/dev/null
  done
  # A device is written in place, also by save; a link at a temporary name is not followed.
  mknod null c 1 3
  does mydocker export -o null web
  does mydocker save -o null busybox
  [[ -c null ]] || fail 'the device was replaced'
  echo mine >victim
  ln -s victim .tmp-file.tar
  does mydocker export -o file.tar web
  same mine "$(<victim)"
  [[ -f file.tar && ! -L file.tar ]]
  refuses 1 'export nosuch: .*not found' mydocker export nosuch
  refuses 1 'export web: open .*: no such file' mydocker export -o nosuch/file web
  mydocker rm web >/dev/null
  mydocker volume rm data >/dev/null
}

@test "import: archives of all kinds, a URL, and changes; history" {
  mydocker create --name web busybox true >/dev/null
  mydocker export -o f.tar web
  does mydocker import -c 'CMD ["sh", "-c", "echo $A"]' -c 'ENV A="two words"' -m why - imp:1 <f.tar
  like '^sha256:[0-9a-f]{64}$' "$output"
  same "two words" "$(mydocker run --rm imp:1)"
  does mydocker history --format '{{.ID}} {{.Comment}}' imp:1
  same "$(mydocker images | awk '$2 == "imp" {print $1}') why" "$output"
  local tool
  for tool in gzip bzip2 xz zstd; do
    $tool -kf f.tar
    does mydocker import f.tar.?* "imp-$tool"
    mydocker run --rm "imp-$tool" true
    rm f.tar.*
    does mydocker rmi "imp-$tool"
  done
  python3 -m http.server 8099 --bind 127.0.0.1 >server.log 2>&1 3>&- &
  eventually 10 curl -fs -o /dev/null http://127.0.0.1:8099/
  does mydocker import http://127.0.0.1:8099/f.tar imp:2
  refuses 1 'import http://127.0.0.1:8099/nosuch.tar: .*404' mydocker import http://127.0.0.1:8099/nosuch.tar imp:3
  kill $!
  wait $! || true
  refuses 1 'import: open nosuch.tar: no such file' mydocker import nosuch.tar
  refuses 1 'import -: read archive: archive is empty' mydocker import - imp:3
  refuses 1 'import f.tar: change "RUN x": want CMD' mydocker import -c 'RUN x' f.tar
  echo nonsense >bad
  refuses 1 'import bad: ' mydocker import bad imp:3
  does mydocker rmi imp:1 imp:2
  mydocker rm web >/dev/null
}

@test "history: the steps of an image, the last first" {
  does mydocker history busybox
  like 'IMAGE +CREATED +CREATED BY +SIZE +COMMENT' "$output"
  does mydocker history -q busybox
  same "$(mydocker images -q busybox | head -1)" "${lines[0]}"
  does mydocker history --no-trunc -q busybox
  like '^sha256:[0-9a-f]{64}' "$output"
  does mydocker history --no-human --format '{{.Size}}' busybox
  like '^[0-9]+' "$output"
  refuses 1 'history nosuch: .*not found' mydocker history nosuch
}

@test "container, image and volume: docker's groups, and its JSON" {
  local id
  does mydocker container run -d --name web -p 8080:80 -v data:/data -v "$PWD:/here:ro" -m 64m -e A=b --restart always busybox sleep 100
  id=$output
  does mydocker container ls -q
  same "$id" "$output"
  does mydocker container exec web true
  mydocker container inspect web >web.json
  same "$id /web running true sleep 100" "$(jq -r '.[0] | [.Id, .Name, .State.Status, .State.Running, .Path, .Args[0]] | join(" ")' web.json)"
  same '8080 67108864 always 0' "$(jq -r '.[0].HostConfig | [.PortBindings["80/tcp"][0].HostPort, .Memory, .RestartPolicy.Name, .RestartPolicy.MaximumRetryCount] | join(" ")' web.json)"
  same "$PWD:/here:ro" "$(jq -r '.[0].HostConfig.Binds[1]' web.json)"
  same 'volume data /data true' "$(jq -r '.[0].Mounts[] | select(.Type == "volume") | [.Type, .Name, .Destination, .RW] | join(" ")' web.json)"
  same 1 "$(jq '[.[0].Config.Env[] | select(. == "A=b")] | length' web.json)"
  does mydocker inspect -f '{{.NetworkSettings.IPAddress}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} {{.Endpoints | len}}' web
  same "$(address web) $(address web) 1" "$output"
  does mydocker inspect -f '{{.State.Running}} {{.State.ExitCode}} {{.Name}} {{.Uuid}} {{json .Config.Cmd}}' web
  same "true 0 /web $id [\"sleep\",\"100\"]" "$output"
  same "$(jq -r '.[0].State.Pid' web.json)" "$(mydocker inspect -f '{{.Cgroups.Pid}}' web)"
  does mydocker container inspect -f '{{.State.Pid}}' web
  complains 1 'container inspect nosuch: .*not found' mydocker container inspect nosuch
  same '[]' "$output"
  does mydocker image inspect busybox
  same "$(mydocker inspect -f '{{.Image}}' web) busybox:latest amd64" "$(jq -r '.[0] | [.Id, .RepoTags[0], .Architecture] | join(" ")' <<<"$output")"
  does mydocker volume inspect -f '{{.Mountpoint}}' data
  same /var/lib/mydocker/volumes/data/data "$output"
  same data "$(mydocker inspect -f '{{.Name}}' data)"
  same local "$(mydocker volume inspect data | jq -r '.[0].Scope')"
  refuses 2 'container: unknown command "nosuch"' mydocker container nosuch
  does mydocker container rm -f web
  does mydocker volume rm data
}

@test "container prune removes what does not run, and says what and how much" {
  mydocker run --name old -l keep=no busybox dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null
  mydocker run --name kept -l keep=yes busybox true
  mydocker run -d --name runs busybox sleep 100 >/dev/null
  local old
  old=$(mydocker ps -q -f name=old)
  refuses 2 'container prune: --filter "x=y"' mydocker container prune --filter x=y
  does mydocker container prune -f --filter until=1h
  same 'Total reclaimed space: 0 B' "$output"
  does mydocker container prune -f --filter label!=keep=yes
  same "$old" "${lines[0]}"
  like 'Total reclaimed space: 3\.[0-9]+ MB' "${lines[1]}"
  does mydocker container prune -f
  same runs "$(mydocker ps --format '{{.Name}}')"
}

@test "rm, rmi, network rm and volume rm by force: what is not there is no error" {
  forced() {
    run -0 --separate-stderr "$@"
    same "" "$output"
    like '^mydocker: warning: no such (container|image|network|volume): nosuch$' "$stderr"
  }
  forced mydocker rm -f nosuch
  forced mydocker rmi -f nosuch
  forced mydocker network rm -f nosuch
  forced mydocker volume rm -f nosuch
  mydocker tag busybox one:1
  mydocker export "$(mydocker create busybox true)" | mydocker import - two:1 >/dev/null
  mydocker tag two:1 three:1
  refuses 1 'rmi [0-9a-f]+: image .* has names in several repositories' mydocker rmi "$(mydocker inspect -f '{{.Uuid}}' two:1)"
  does mydocker rmi -f "$(mydocker inspect -f '{{.Uuid}}' two:1)"
  like 'Untagged: three:1' "$output"
  like 'Deleted: sha256' "$output"
  does mydocker images one
  like '^IMAGE ID.*[[:space:]][0-9a-f]{12} +one +1 ' "$output"
  same "$(mydocker images -q one:1)" "$(mydocker inspect -f '{{.Uuid}}' busybox)"
  does mydocker images 'on*'
  same 2 "${#lines[@]}"
  does mydocker images nosuch
  same 1 "${#lines[@]}"
  does mydocker rmi one:1
}

@test "logs -n, stop and restart --timeout: docker's names" {
  mydocker run -d --name web busybox sh -c 'seq 5; exec sleep 100' >/dev/null
  eventually 5 sh -c '[ "$(mydocker logs web | wc -l)" = 5 ]'
  same $'4\n5' "$(mydocker logs -n 2 web)"
  mydocker restart --timeout 0 web >/dev/null
  does mydocker stop --timeout=0 web
}

@test "prunes ask on a terminal, and not by force" {
  mydocker run --name old busybox true
  same exited "$(mydocker ps --format '{{.Status}}')"
  run script -qec 'mydocker container prune' /dev/null <<<n
  like 'Continue\? \[y/N\]' "$output"
  same exited "$(mydocker ps --format '{{.Status}}')"
  run script -qec 'mydocker container prune -f' /dev/null </dev/null
  like 'Total reclaimed' "$output"
  same "" "$(mydocker ps -q)"
}

@test "unknown commands: the nearest one, or what to use instead" {
  refuses 2 'unknown command "rnu": did you mean run\?' mydocker rnu busybox
  refuses 2 'container: unknown command "isnpect": did you mean inspect\?' mydocker container isnpect x
  refuses 2 'there is no command swarm: mydocker does not manage clusters' mydocker swarm init
  refuses 2 'there is no command plugin: ' mydocker plugin ls
  refuses 2 'there is no command context: mydocker has no daemon' mydocker context ls
}

@test "a list that cannot be written is an error" {
  local command
  mydocker create --name web -v named:/data busybox true >/dev/null
  for command in 'ps -q' 'images -q' 'image ls -q' 'volume ls -q' 'network ls -q' 'history -q busybox' 'history busybox' 'system df'; do
    run --separate-stderr sh -c "mydocker $command >/dev/full"
    like 'no space left on device' "$stderr"
    same 1 "$status"
  done
  run --separate-stderr sh -c 'mydocker container prune -f >/dev/full'
  same 1 "$status"
  same '' "$(mydocker ps -q)" # it was removed all the same
  does mydocker volume rm named
}

@test "a program cannot end top by its name" {
  mydocker run -d --name odd busybox sh -c 'printf "a\nb" >/proc/$$/comm; while :; do sleep 1; done' >/dev/null
  eventually 5 mydocker exec odd sh -c '[ "$(head -c 1 /proc/1/comm)" = a ]'
  mydocker run -d --name none busybox sh -c 'printf "\000" >/proc/$$/comm; while :; do sleep 1; done' >/dev/null
  eventually 5 mydocker exec none sh -c '[ "$(wc -c </proc/1/comm)" = 1 ]'
  local box
  for box in odd none; do
    like '^ *PID COMMAND' "$(mydocker top "$box" -o pid,comm)"
    does mydocker top "$box" -o comm,pid
  done
}

@test "a state directory with the characters of patterns in its name" {
  local -x MYDOCKER_ROOT=$BATS_TEST_TMPDIR/'a[b]?*'
  md-pull --quiet busybox >/dev/null
  mydocker run --name loud --net none --log-opt max-size=4k --log-opt max-file=3 busybox seq 3000 >/dev/null
  mydocker create --name kept --net none busybox true >/dev/null
  touch -d '1 minute ago' "$MYDOCKER_ROOT/names/.tmp-left"
  run -1 mydocker system check
  like 'tmp-left' "$output"
  does mydocker system check --fix
  [[ ! -e $MYDOCKER_ROOT/names/.tmp-left ]] || fail 'the temporary file stays'
  does mydocker logs loud
  same 3000 "${lines[-1]}"
  ((${#lines[@]} > 100)) || fail "of the log's older files only ${#lines[@]} lines are read"
  does mydocker rm loud kept
  rm -r "$MYDOCKER_ROOT"
}

@test "templates of all lists: docker's fields, tabs, functions" {
  mydocker volume create data >/dev/null
  mydocker create --name web --net none busybox true >/dev/null
  same $'web\tcreated WEB' "$(mydocker ps --format '{{.Names}}\t{{.State}} {{upper .Name}}')"
  like '^busybox:latest [0-9.]+ [kM]B .* ago$' "$(mydocker images --format '{{.Repository}}:{{.Tag}} {{.Size}} {{.CreatedSince}}' busybox)"
  same number "$(mydocker images --format json busybox | jq -r '.size | type')"
  same 'data local' "$(mydocker volume ls --format '{{.Name}} {{.Driver}}')"
  same 'mydocker0' "$(mydocker network ls --format '{{.Name}}')"
  same 'images containers volumes ' "$(mydocker system df --format '{{.Kind}}' | tr '\n' ' ')"
  local command
  for command in images 'volume ls' 'network ls' 'system df' ps; do
    # shellcheck disable=SC2086 # several words
    refuses 2 'want table, json or a Go template' mydocker $command --format xml
    # shellcheck disable=SC2086
    refuses 2 'no field Nosuch|Nosuch' mydocker $command --format '{{.Nosuch}}'
  done
  mydocker rm web >/dev/null
  mydocker volume rm data >/dev/null
}
