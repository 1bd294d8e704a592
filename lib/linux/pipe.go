package linux

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A stage must record what it read from a pipe before the writer may forget it, so it marks the pipe until it has. Both
// ends of a pipe are one inode (pipe(7)), whose mode has no other use: the mark is the sticky bit.
const readerMark = unix.S_ISVTX

// MarkReading marks a pipe before it is read, and returns a function that removes the mark. A reader that dies leaves
// it. Only a pipe(2) is marked: the mode of a FIFO is visible to others.
func MarkReading(file *os.File) (unmark func()) {
	mode, ok := pipeMode(file)
	if !ok {
		return func() {}
	}
	fd := int(file.Fd())
	_ = unix.Fchmod(fd, mode|readerMark)
	return func() { _ = unix.Fchmod(fd, mode&^readerMark) }
}

// pipeMode returns the permissions of an unnamed pipe, and whether the file is one.
func pipeMode(file *os.File) (mode uint32, ok bool) {
	var fs unix.Statfs_t
	var st unix.Stat_t
	fd := int(file.Fd())
	if unix.Fstatfs(fd, &fs) != nil || fs.Type != unix.PIPEFS_MAGIC || unix.Fstat(fd, &st) != nil {
		return 0, false
	}
	return st.Mode &^ unix.S_IFMT, true
}

// AwaitReader waits until everything written to a pipe has been read (FIONREAD, also called TIOCINQ; pipe(7)) and the
// reader, if it calls [MarkReading], has removed its mark. If the reader ends before that, the error is EPIPE. For
// other files it returns at once.
func AwaitReader(ctx context.Context, file *os.File) error {
	fd := int(file.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return nil
	}
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		unread, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		mode, _ := pipeMode(file)
		if err != nil || unread == 0 && mode&readerMark == 0 {
			return nil
		}
		fds := []unix.PollFd{{Fd: int32(fd)}}
		if n, err := unix.Poll(fds, 0); err == nil && n > 0 && fds[0].Revents&unix.POLLERR != 0 {
			return unix.EPIPE
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// AwaitNoReader waits until no process has the reading end of a FIFO open. file is its writing end.
func AwaitNoReader(file *os.File, limit time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(file.Fd())}}
	for end := time.Now().Add(limit); ; {
		n, err := unix.Poll(fds, int(time.Until(end).Milliseconds()))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("wait for a reader: %w", err)
		case n == 0:
			return fmt.Errorf("wait for the last reader: %w", os.ErrDeadlineExceeded)
		}
		return nil
	}
}
