#!/usr/bin/env bats
# Commands that the README's session does not have: kill, wait, diff, tag, save, load, volume, and further
# options of ps and inspect.
load lib

setup_file() { warm_up busybox; }
setup() { setup_leakcheck; }
teardown() {
  teardown_leakcheck
}

@test "kill sends SIGKILL or a named signal; wait prints the exit code, also of a stopped container" {
  mydocker run -d --name one busybox sleep 100 >/dev/null
  mydocker run -d --name two busybox sh -c 'trap "exit 7" USR1; while :; do sleep 0.1; done' >/dev/null
  eventually 5 mydocker exec two true
  does mydocker kill one
  like "$id_form" "$output"
  sleep 0.3 # until two has set its trap
  does mydocker kill -s USR1 two
  does mydocker wait one two
  same $'137\n7' "$output"
  refuses 1 'kill one: container is not running' mydocker kill one
  refuses 2 'kill: .*NONSENSE' mydocker kill --signal NONSENSE one
  refuses 1 'wait nosuch: .*not found' mydocker wait nosuch
  (
    sleep 0.5
    mydocker kill three
  ) >/dev/null 3>&- &
  mydocker run -d --name three busybox sleep 100 >/dev/null
  does mydocker wait three
  same 137 "$output"
  wait
}

@test "create prepares a container for start and changes nothing in the kernel" {
  does mydocker create --name web -p 8080:80 --memory-limit 64m -v data:/data busybox httpd -f -h /var/www
  local id=$output
  like "$id_form" "$id"
  same "web created 10.20.30" "$(mydocker ps --format '{{.Name}} {{.Status}} {{index .IPs 0}}' | cut -d. -f1-3)"
  unlike "$id" "$(cat /proc/self/mountinfo; find /sys/fs/cgroup -path "*mydocker*$id*"; iptables-save)"
  refuses 1 "create web: name web is taken by container $id" mydocker create --name web busybox
  refuses 125 'exec web: container is not running' mydocker exec web true
  refuses 1 'wait web: container has not been started' mydocker wait web
  does mydocker stop web
  does mydocker start web
  eventually 5 curl -fs http://localhost:8080/
  same $((64 << 20)) "$(md-cgroup show web | jq .memory.limit)"
  does mydocker rm -f web
  mydocker volume rm data >/dev/null
  refuses 1 'create: no image' mydocker create
  refuses 1 'create busybox: .*--memory-limit' mydocker create --memory-limit 1 busybox
}

@test "diff prints the same as md-rootfs diff" {
  mydocker run --name changed busybox sh -c 'echo x >/new; rm /var/www/index.html'
  does mydocker diff changed
  same "$(md-rootfs diff changed)" "$output"
  like 'A /new' "$output"
  refuses 1 'diff nosuch: .*not found' mydocker diff nosuch
}

@test "tag adds a name, and the image is removed with its last name" {
  does mydocker tag busybox mine:1
  same "$(mydocker inspect -f '{{.Uuid}}' busybox)" "$(mydocker inspect -f '{{.Uuid}}' mine:1)"
  same 'hello from busybox' "$(mydocker run --rm mine:1 cat /var/www/index.html)"
  does mydocker tag mine:1 example.org:5000/team/mine
  like 'example.org:5000/team/mine +latest' "$(mydocker image list)"
  does mydocker rmi mine:1 example.org:5000/team/mine
  refuses 1 'tag nosuch: .*not found' mydocker tag nosuch mine
  refuses 1 'tag busybox: .*UPPER' mydocker tag busybox UPPER
  mydocker run --rm busybox true
}

@test "save and load use an archive that skopeo can read" {
  local dir=$BATS_TEST_TMPDIR
  mydocker tag busybox saved:1
  does mydocker save -o "$dir/saved.tar" saved:1
  same saved:1 "$(tar -xOf "$dir/saved.tar" manifest.json | jq -r '.[0].RepoTags[0]' | sed 's,.*/,,')"
  skopeo inspect "docker-archive:$dir/saved.tar" >/dev/null
  mydocker rmi saved:1 >/dev/null
  mydocker load -i "$dir/saved.tar" >/dev/null
  same 'hello from busybox' "$(mydocker run --rm saved:1 cat /var/www/index.html)"
  mydocker save saved:1 | mydocker load -q >/dev/null
  mydocker rmi saved:1 >/dev/null
  refuses 1 'save nosuch: .*not found' mydocker save nosuch
  refuses 1 'load: .*/nosuch.tar: no such file' mydocker load -i "$dir/nosuch.tar"
}

@test "volumes: create, list, in use, rm, prune" {
  does mydocker volume create data
  same data "$output"
  does mydocker volume create data # an existing volume is not an error, as in docker
  does mydocker volume create
  local anonymous=$output
  like '^[0-9a-f]{24}$' "$anonymous"
  mydocker run --name user -v data:/data -v /own busybox sh -c 'echo kept >/data/file'
  same $'NAME\tDRIVER\tCOUNTS' "$(mydocker volume list | cells | cut -f1-3 | head -1)"
  like $'data\tlocal\t1' "$(mydocker volume ls | cells)"
  same 3 "$(mydocker volume ls -q | wc -l)"
  same 1 "$(mydocker volume ls --format json | jq -r 'select(.name == "data").containers | length')"
  refuses 1 'volume rm data: volume is used by container [0-9a-f]{12}' mydocker volume rm data
  does mydocker rm user
  does mydocker volume prune # removes the volume of the removed container
  like '^[0-9a-f]{24}$' "$output"
  unlike "$anonymous" "$output"
  same kept "$(mydocker run --rm -v data:/data busybox cat /data/file)"
  does mydocker volume rm data
  refuses 1 'volume rm data: .*not found' mydocker volume rm data
  does mydocker volume prune -a
  same "$anonymous" "$output"
  refuses 1 'volume create \.\./x: ' mydocker volume create ../x
}

@test "ps has -n and filters; inspect has templates" {
  mydocker run --name first -v data:/data busybox sh -c 'exit 3' || true
  mydocker run -d --name second busybox sleep 100 >/dev/null
  same second "$(mydocker ps -l --format '{{.Name}}')"
  same second "$(mydocker ps -a -n 1 --no-trunc --format '{{.Name}}')"
  same $'second\nfirst' "$(mydocker ps -n 5 --format '{{.Name}}')"
  same first "$(mydocker ps -f exited=3 --format '{{.Name}}')"
  same first "$(mydocker ps -f volume=data --format '{{.Name}}')"
  same first "$(mydocker ps -f volume=/data -f ancestor=busybox --format '{{.Name}}')"
  same second "$(mydocker ps -f network=mydocker0 -f status=running --format '{{.Name}}')"
  refuses 2 'ps: --filter "exited=x"' mydocker ps -f exited=x
  does mydocker inspect -f '{{.Name}} {{.Status}} {{.Hostname}}' second
  same "/second running $(mydocker ps -lq)" "$output"
  refuses 2 'inspect: --format' mydocker inspect -f '{{' second
  refuses 1 'inspect second: --format: \.Nonsense: no such field: it has .*\.Status' mydocker inspect -f '{{.Nonsense}}' second
  mydocker rm -f second first >/dev/null
  mydocker volume rm data >/dev/null
}
