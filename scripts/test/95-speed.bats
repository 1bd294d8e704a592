#!/usr/bin/env bats
# The cost of a container in system calls: counts are the same on every run, times on a busy machine are not. A bound
# is a little above today's count. If a change exceeds it, find the new calls (strace -f) and remove them, or raise
# the bound with a reason.
#
# Raised by 40 for run and by 10 for exec: the container's own null device for masks and streams (15), conntrack entries
# of an address deleted (10), the pid namespace that a pid belongs to (6), bundles and marks checked by the sweep (6).
load lib

setup_file() { warm_up busybox; }
setup() {
  setup_leakcheck
  trace=$BATS_TEST_TMPDIR/trace
}
teardown() { teardown_leakcheck; }

# Calls of Go's scheduler and heap, which vary from run to run.
weather='futex|nanosleep|clock_nanosleep|epoll_pwait|sched_yield|rt_sigreturn|rt_sigprocmask|rt_sigaction|sigaltstack|tgkill'
weather+='|getpid|gettid|mmap|munmap|madvise|brk|clone|wait4|waitid|restart_syscall|exit'

# traced COMMAND... runs it under strace. $trace.calls has a line for each call: the pid and the call.
traced() {
  strace -f -qq -o "$trace" "$@"
  # A call that another process's call interrupts takes two lines.
  grep -vE "^[0-9]+ +(<\.\.\.|($weather)\(|[+-]{3})" "$trace" >"$trace.calls"
}

calls() { grep -cE "^[0-9]+ +($1)\(" "$trace.calls" || true; }
programs() { sed -nE 's/^[0-9]+ +execve\("([^"]*)".*/\1/p' "$trace.calls"; }

# at_most WHAT BOUND COUNT
at_most() {
  (($3 <= $2)) || fail "$1: $3 system calls, at most $2 are allowed; most of them are" "$(most_of_them)"
}
most_of_them() { sed -E 's/^[0-9]+ +([a-z0-9_]+)\(.*/\1/' "$trace.calls" | sort | uniq -c | sort -rn | head -20; }

# those_of PROGRAM counts the calls of the process that executes the program, from its fork on.
those_of() {
  local pid
  pid=$(sed -nE "s,^([0-9]+) +execve\(\"$1\".*,\1,p" "$trace.calls" | head -1)
  grep -cE "^$pid " "$trace.calls"
}

@test "a container without network stays within its system calls, in all and in the program's process" {
  traced mydocker run --rm --net none busybox true
  at_most 'run --net none' 1150 "$(wc -l <"$trace.calls")"
  at_most 'in the container' 330 "$(those_of /bin/true)"
  # The mount table has lines for each running container: the Go runtime reads it at its two starts, mydocker once.
  same 3 "$(grep -cE "open[a-z]*\(.*mountinfo" "$trace.calls")"
  # mydocker, itself from a read-only mount, and the program.
  like '/mydocker[[:space:]]/proc/self/fd/[0-9]+[[:space:]]/bin/true$' "$(programs)"
  same 3 "$(programs | wc -l)"
}

@test "a container with an address starts no further process, one with a port starts one at each end" {
  traced mydocker run --rm busybox true
  at_most 'run' 1300 "$(wc -l <"$trace.calls")"
  same 3 "$(programs | wc -l)"
  # Two netlink sockets of the host, one of the namespace, one of the firewall, and one for the conntrack entries
  # that are deleted at the end.
  same 5 "$(grep -c 'socket(AF_NETLINK' "$trace.calls")"
  traced mydocker run --rm -p 8080:80 busybox true
  same 2 "$(programs | grep -c iptables)" # one to open, one to close
}

@test "exec stays within its system calls" {
  mydocker run -d --name box busybox sleep 100
  traced mydocker exec box true
  at_most 'exec' 345 "$(wc -l <"$trace.calls")"
}

@test "only a container that is kept is synced to disk" {
  traced mydocker run --rm --name box busybox true
  same 0 "$(calls 'fsync|fdatasync|sync|syncfs')"
  strace -f -qq -y -e trace=fsync -o "$trace" mydocker create --name box busybox true
  local file
  for file in rootfs.json net.json config.json names/box 'leases/10\.20\.30\.[0-9]+' containers names leases; do
    grep -qE "fsync\([0-9]+<[^>]*/$file>[) ]" "$trace" || fail "$file is not on the disk" "$(cat "$trace")"
  done
}

# The cost does not grow with the number of containers.
@test "a container beside others costs what it costs alone" {
  local alone among i
  traced mydocker run --rm busybox true
  alone=$(wc -l <"$trace.calls")
  for i in {1..8}; do
    mydocker run -d "--name=box$i" busybox sleep 100
  done
  traced mydocker run --rm busybox true
  among=$(wc -l <"$trace.calls")
  # The directory listing is longer, and the sweep checks the lock of each container.
  at_most 'run beside 8 others' $((alone + 8 * 4)) "$among"
  mydocker exec box1 true
  traced mydocker exec box1 true
  at_most 'exec beside 8 others' 345 "$(wc -l <"$trace.calls")"
  # Six small files of each are read in one piece, and the table is written in one piece.
  traced mydocker ps
  at_most 'ps of 8' $((80 + 8 * 20)) "$(wc -l <"$trace.calls")"
  same 1 "$(grep -cE '^[0-9]+ +write\(1' "$trace.calls")"
}
