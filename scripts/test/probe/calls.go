package main

import (
	"fmt"
	"io"
	"syscall"
	"time"
	"unsafe"
)

func forkCall(entry, number uintptr, args *[6]uintptr, action *[4]uintptr, result *uintptr) (pid uintptr)

const (
	untouched = 0x5a5a5a5a5a5a5a5a // the call did not return
	x32Bit    = 0x40000000
	highest   = 560 // system call numbers below this are probed
)

// calls makes every system call, each in its own child process, through each entry into the kernel. It prints a line for
// each: the entry, the number, and the result.
func calls(out io.Writer) error {
	shared, err := syscall.Mmap(-1, 0, 1<<16, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_ANON)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	// Each call has its own result: fork(2) creates another process, which writes it later.
	results := unsafe.Slice((*uintptr)(unsafe.Pointer(&shared[0])), len(shared)/int(unsafe.Sizeof(uintptr(0))))
	result := func() *uintptr {
		first := &results[0]
		results = results[1:]
		return first
	}
	// Descriptors, pointers and sizes are all -1, so that no call succeeds in changing anything.
	invalid := ^uintptr(0)
	args := &[6]uintptr{invalid, invalid, invalid, invalid, invalid, invalid}
	for _, way := range []struct {
		name  string
		entry uintptr
		base  uintptr
	}{{"x86-64", 0, 0}, {"i386", 1, 0}, {"x32", 0, x32Bit}} {
		for number := uintptr(0); number < highest; number++ {
			if stays(way.entry, number) {
				continue
			}
			fmt.Fprintf(out, "%s %d %s\n", way.name, number, outcome(way.entry, way.base+number, args, result()))
		}
		for _, c := range special(way.entry) {
			args := &[6]uintptr{c.first, invalid, invalid, invalid, invalid, invalid}
			fmt.Fprintf(out, "%s %d(%#x) %s\n", way.name, c.number, c.first, outcome(way.entry, way.base+c.number, args, result()))
		}
	}
	return nil
}

// stays reports whether the call is left out: sync(2) is slow on a busy machine.
func stays(entry, number uintptr) bool {
	return entry == 0 && number == 162 || entry == 1 && number == 36
}

type argument struct{ number, first uintptr }

// special returns calls whose first argument decides in docker's profile, with values on both sides.
func special(entry uintptr) []argument {
	socket, personality, clone := uintptr(41), uintptr(135), uintptr(56)
	if entry == 1 {
		socket, personality, clone = 359, 136, 120
	}
	var all []argument
	for family := uintptr(0); family < 48; family++ {
		all = append(all, argument{socket, family})
	}
	all = append(all, argument{socket, 1<<32 | 38}, argument{socket, 1<<32 | 40})
	for _, persona := range []uintptr{0, 8, 0x20000, 0x20008, 0x40000, 0xffffffff} {
		all = append(all, argument{personality, persona})
	}
	for bit := 7; bit < 32; bit++ {
		// CLONE_THREAD without its companions: the kernel refuses the flags if the filter allows them.
		all = append(all, argument{clone, 1<<bit | 0x10000})
	}
	return all
}

// outcome makes a call in a child and returns "ok", the error, "killed" by the filter, "ended", or "blocked".
func outcome(entry, number uintptr, args *[6]uintptr, result *uintptr) string {
	*result = untouched
	pid := int(forkCall(entry, number, args, new([4]uintptr), result))
	if pid <= 0 {
		return fmt.Sprint("fork ", pid)
	}
	var status syscall.WaitStatus
	for deadline := time.Now().Add(200 * time.Millisecond); ; time.Sleep(time.Millisecond) {
		got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if err != nil && err != syscall.EINTR {
			return "wait " + err.Error()
		}
		if got == pid {
			break
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			_, _ = syscall.Wait4(pid, &status, 0, nil)
			return "blocked"
		}
	}
	switch value := int(*result); {
	case status.Signaled() && status.Signal() == syscall.SIGSYS:
		return "killed"
	case *result == untouched:
		return "ended" // exit, or a signal
	case value < 0 && value > -4096:
		return syscall.Errno(-value).Error()
	}
	return "ok"
}
