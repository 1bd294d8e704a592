package linux

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// AwaitReader waits until all that was written to a pipe has been read (FIONREAD, also called TIOCINQ; pipe(7)). Where the
// reader is gone before, it returns EPIPE: what it did not read is lost. What is no pipe is read.
func AwaitReader(ctx context.Context, file *os.File) error {
	fd := int(file.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return nil
	}
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		unread, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		if err != nil || unread == 0 {
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
