#!/usr/bin/env bats
# Each stage changes the fields that it owns (the table in lib/spec) and passes on all others, including
# unknown ones in documents of other tools.
load lib

setup_file() {
  warm_up busybox
  export documents=$BATS_FILE_TMPDIR
  foreign_documents
}
setup() {
  setup_leakcheck
  dir=$BATS_TEST_TMPDIR
}
teardown() { teardown_leakcheck; }

strange='{"x-deep": [1, {"x-deeper": null}, "\u0001<&"]}'

# foreign_documents creates documents of other tools, with an unknown field in every object, and a number that only
# an exact reader keeps.
foreign_documents() {
  local name podman=(podman --root "$documents/podman" --runroot "$documents/podman-run" --storage-driver vfs
    --cgroup-manager cgroupfs --runtime runc)
  mkdir "$documents/podman"
  runc spec -b "$documents" && mv "$documents/config.json" "$documents/runc.json"
  crun spec -b "$documents" && mv "$documents/config.json" "$documents/crun.json"
  {
    "${podman[@]}" create --name made --net none --ulimit host -v /etc/hostname:/host:ro --label a=b \
      --memory 64m --sysctl kernel.msgmax=8192 oci:/var/lib/mydocker/images:busybox:latest true
    "${podman[@]}" init made
    cp "$(find "$documents/podman" -name config.json)" "$documents/podman.json"
    "${podman[@]}" rm -f made
  } >/dev/null 2>&1
  for name in runc crun podman; do
    # Maps of strings have no unknown fields.
    jq "walk(if type == \"object\" and any(.[]; type != \"string\") then . + {\"x-unknown\": $strange} else . end)" \
      "$documents/$name.json" | sed '0,/"ociVersion"/s//"x-big": 18446744073709551615,\n  &/' >"$documents/$name-unknown.json"
  done
}

# others STAGE FILE prints what the stage does not own: the document without the stage's fields and its release, which
# is checked separately.
others() {
  local owned labels='"id"'
  case $1 in
    md-rootfs)
      owned='.root, .hostname, .process, .mounts, .linux.devices, .linux.sysctl, .linux.seccomp, .linux.maskedPaths,
        .linux.readonlyPaths, .linux.uidMappings, .linux.gidMappings, .annotations["c"]' # set in through()
      labels='"id", "name", "image", "imageid", "driver", "dns", "stopsignal", "init", "interactive", "devices", "groups"'
      ;;
    md-cgroup) owned='.linux.cgroupsPath, .linux.resources, (.linux.namespaces[] | select(.type == "cgroup"))' ;;
    md-net)
      owned='(.linux.namespaces[] | select(.type == "network") | .path),
        .linux.sysctl["net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"]'
      labels='"id", "networks", "ports"'
      ;;
  esac
  # A section that has only owned fields may be added with them.
  jq -S "del($owned) | del(.annotations[($labels) | \"mydocker.\" + .]) | del(.hooks.poststop)
    | if .linux.sysctl == {} then del(.linux.sysctl) else . end
    | with_entries(select(.value != null and .value != {}))" "$2"
}

# keeps STAGE BEFORE AFTER: the stage changed only its own fields, and its release hook is the first.
keeps() {
  diff <(others "$1" "$2") <(others "$1" "$3") || fail "$1 changed what is not its own" || return
  same "$1" "$(jq -r '.hooks.poststop[0].args[0]' "$3")" || return
  same "$(jq -cS '.hooks.poststop // []' "$2")" "$(jq -cS '.hooks.poststop[1:]' "$3")" || return
  loses_nothing "$2" "$3"
}

# loses_nothing BEFORE AFTER: neither in owned fields.
loses_nothing() {
  same "$(unknown "$1")" "$(unknown "$2")" &&
    same "$(grep -c 18446744073709551615 "$1")" "$(grep -c 18446744073709551615 "$2")"
}

# unknown FILE counts the objects that still have all unknown fields.
unknown() { jq "[.. | objects | select(.[\"x-unknown\"] == $strange)] | length" "$1"; }

# through FILE passes the document through every stage and runs it.
through() {
  local kept
  md-rootfs mount --spec "$1" --name mine -e A=b -w /tmp -v /vol --label c=d busybox echo ran >"$dir/1"
  keeps md-rootfs "$1" "$dir/1"
  md-cgroup create --pids-max 100 <"$dir/1" >"$dir/2"
  keeps md-cgroup "$dir/1" "$dir/2"
  md-net attach -p 8080:80 <"$dir/2" >"$dir/3"
  keeps md-net "$dir/2" "$dir/3"
  # The last stage owns no field and keeps all that it was given. What podman created for the container
  # is gone.
  jq --arg gone "$documents/" '.mounts |= map(select(.source // "" | startswith($gone) | not))
    | .process.terminal = false' "$dir/3" >"$dir/4"
  does md-spawn run --keep <"$dir/4"
  same ran "$output"
  kept=/var/lib/mydocker/containers/$(mydocker ps -q)/config.json
  diff <(jq -S 'del(.process.terminal)' "$dir/4") <(jq -S 'del(.process.terminal)' "$kept")
  mydocker rm -f -v mine >/dev/null
}

@test "stages keep the fields of mydocker's documents" {
  md-rootfs mount busybox true >"$dir/new"
  md-cgroup create --memory-limit 64m <"$dir/new" >"$dir/1"
  keeps md-cgroup "$dir/new" "$dir/1"
  md-net attach --net mydocker0 <"$dir/1" >"$dir/2"
  keeps md-net "$dir/1" "$dir/2"
  does md-spawn run <"$dir/2"
}

@test "the test detects a change in another stage's field" {
  md-rootfs mount busybox true >"$dir/1"
  jq '.linux.resources = {} | .hooks.poststop |= [{args: ["md-net"], path: "/x"}] + .' "$dir/1" >"$dir/2"
  run keeps md-net "$dir/1" "$dir/2"
  same 1 "$status"
  jq '.process.args = ["x"] | .hooks.poststop |= [{args: ["md-cgroup"], path: "/x"}] + .' "$dir/1" >"$dir/2"
  run keeps md-cgroup "$dir/1" "$dir/2"
  same 1 "$status"
  md-spawn run <"$dir/1"
}

@test "documents of runc, crun and podman lose no field" {
  local name
  for name in runc crun podman; do
    through "$documents/$name.json"
  done
}

@test "stages keep unknown fields in every object" {
  local name
  for name in runc crun podman; do
    (($(unknown "$documents/$name-unknown.json") > 10)) || fail "$name: few objects"
    through "$documents/$name-unknown.json"
  done
}
