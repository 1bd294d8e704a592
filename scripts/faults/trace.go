package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// fault is a fault to inject, and the state of the trace.
type fault struct {
	at    int           // the number of the call; 0 only counts
	all   bool          // kill all of mydocker's processes
	errno syscall.Errno // 0 kills

	count  int
	report *os.File
	tasks  map[int]*task
}

// task is one traced thread.
type task struct {
	pid    int    // of its process
	ours   string // the program's name if its calls are counted
	inside bool   // in a system call
	fail   bool   // the present call must fail
}

// Options of ptrace(2), and the signal of its stops at system calls.
const (
	options    = syscall.PTRACE_O_TRACESYSGOOD | syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACEFORK | syscall.PTRACE_O_TRACEVFORK | syscall.PTRACE_O_TRACEEXEC
	sysgood    = syscall.SIGTRAP | 0x80
	noSuchCall = ^uint64(0)
)

var programs = regexp.MustCompile(`^(memfd:)?(mydocker|md-[a-z]+|ip6?tables.*|xtables-.*)( \(deleted\))?$`)

// run runs the command until the last counted program exits, and returns the command's exit code.
func (f *fault) run(command []string) (int, error) {
	runtime.LockOSThread() // ptrace(2) is bound to the thread
	path := command[0]
	if filepath.Base(path) == path {
		found, err := lookPath(path)
		if err != nil {
			return 0, err
		}
		path = found
	}
	first, err := syscall.ForkExec(path, command, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	f.tasks = make(map[int]*task)
	code := 0
	ended, seen := false, time.Now() // whether the command has exited; time of the last event
	for {
		var status syscall.WaitStatus
		flags := syscall.WALL
		if ended {
			flags |= syscall.WNOHANG
		}
		tid, err := syscall.Wait4(-1, &status, flags, nil)
		if tid > 0 {
			seen = time.Now()
		}
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return code, nil // no children are left
		case tid == 0 && time.Since(seen) > idleTimeout:
			return code, nil // processes that go on, such as a monitor, are detached when the tracer exits
		case tid == 0:
			time.Sleep(time.Millisecond)
		case status.Exited() || status.Signaled():
			delete(f.tasks, tid)
			if tid == first {
				code, ended = exitCode(status), true
			}
			if ended && !f.anyOurs() {
				return code, nil
			}
		case status.Stopped():
			f.stopped(tid, status)
		}
	}
}

// idleTimeout is how long processes are traced after the command's exit without an event.
const idleTimeout = 3 * time.Second

func (f *fault) anyOurs() bool {
	for _, t := range f.tasks {
		if t.ours != "" {
			return true
		}
	}
	return false
}

func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// stopped handles one stop of a thread and resumes it.
func (f *fault) stopped(tid int, status syscall.WaitStatus) {
	t, known := f.tasks[tid]
	signal := 0
	switch sig := status.StopSignal(); {
	case !known:
		t = f.found(tid)
	case sig == sysgood:
		f.atCall(tid, t)
	case sig == syscall.SIGTRAP && status.TrapCause() == syscall.PTRACE_EVENT_EXEC:
		// The calling thread continues as the thread group leader, within execve(2).
		t.ours, t.inside, t.fail = programOf(tid), true, false
	case sig == syscall.SIGTRAP && status.TrapCause() > 0:
	case sig == syscall.SIGSTOP: // a new task starts with it; no program here stops itself
	default:
		signal = int(sig)
	}
	_ = syscall.PtraceSyscall(tid, signal) // fails if the thread was killed
}

// found adds a new task.
func (f *fault) found(tid int) *task {
	t := &task{pid: groupOf(tid), ours: programOf(tid)}
	f.tasks[tid] = t
	_ = syscall.PtraceSetOptions(tid, options) // children inherit them from the first task
	return t
}

// atCall handles the entry or the exit of a system call.
func (f *fault) atCall(tid int, t *task) {
	if t.inside = !t.inside; !t.inside {
		if t.fail {
			t.fail = false
			f.setResult(tid)
		}
		return
	}
	if t.ours == "" {
		return
	}
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &regs) != nil {
		return
	}
	name := call{tid, regs.Orig_rax, [3]uint64{regs.Rdi, regs.Rsi, regs.Rdx}}.changes(f.errno != 0)
	if name == "" {
		return
	}
	if f.count++; f.count != f.at {
		return
	}
	fmt.Fprintln(f.report, f.at, name, t.ours) // before the fault, after which the command may hang
	switch {
	case f.errno != 0:
		regs.Orig_rax, t.fail = noSuchCall, true
		_ = syscall.PtraceSetRegs(tid, &regs)
	case f.all:
		for _, other := range f.tasks {
			if other.ours != "" {
				_ = syscall.Kill(other.pid, syscall.SIGKILL)
			}
		}
	default:
		_ = syscall.Kill(t.pid, syscall.SIGKILL)
	}
}

func (f *fault) setResult(tid int) {
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &regs) == nil {
		regs.Rax = -uint64(f.errno)
		_ = syscall.PtraceSetRegs(tid, &regs)
	}
}

// programOf returns the name of a task's program if its calls are counted. Programs that start containers execute
// themselves from a detached mount, where the path is "/".
func programOf(tid int) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", tid))
	if err != nil {
		return ""
	}
	name := filepath.Base(path)
	if path == "/" {
		words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", tid)) // on error the name does not match
		first, _, _ := bytes.Cut(words, []byte{0})
		name = filepath.Base(string(first))
	}
	if programs.MatchString(name) {
		return name
	}
	return ""
}

// groupOf returns the process of a thread (proc_pid_status(5), Tgid).
func groupOf(tid int) int {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid)) // on error the thread counts as its own process
	if _, rest, ok := bytes.Cut(data, []byte("\nTgid:\t")); ok {
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		if pid, err := strconv.Atoi(string(line)); err == nil {
			return pid
		}
	}
	return tid
}

func lookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return filepath.Join(dir, name), nil
		}
	}
	return "", fmt.Errorf("%s: program not found", name)
}
