package linux

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// IsTerminal reports whether fd is a terminal (ioctl_tty(2), TCGETS).
func IsTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// WindowSize is the size of a terminal in characters.
type WindowSize struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// GetWindowSize returns the size of a terminal.
func GetWindowSize(tty *os.File) (WindowSize, error) {
	var ws *unix.Winsize
	err := control(tty, func(fd int) (err error) {
		ws, err = unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		return err
	})
	if err != nil {
		return WindowSize{}, fmt.Errorf("get window size of %s: %w", tty.Name(), err)
	}
	return WindowSize{Rows: ws.Row, Cols: ws.Col}, nil
}

// SetWindowSize sets the size of a terminal; its foreground processes get SIGWINCH.
func SetWindowSize(tty *os.File, size WindowSize) error {
	err := control(tty, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
	})
	return wrap("set window size of "+tty.Name(), err)
}

// MakeRaw puts a terminal into raw mode (termios(3), cfmakeraw), and returns a function that restores it.
func MakeRaw(tty *os.File) (restore func(), err error) {
	fd := int(tty.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("get attributes of %s: %w", tty.Name(), err)
	}
	raw := *old
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag &^= unix.CSIZE | unix.PARENB
	raw.Cflag |= unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return nil, fmt.Errorf("make %s raw: %w", tty.Name(), err)
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, old) }, nil
}

// OpenPTY opens a pseudo-terminal on the devpts of ptmx (pts(4)). It returns both ends and the path of the slave. Tests use it.
func OpenPTY(ptmx string) (master, slave *os.File, path string, err error) {
	master, err = os.OpenFile(ptmx, os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, "", fmt.Errorf("open terminal: %w", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		master.Close()
		return nil, nil, "", fmt.Errorf("get number of terminal: %w", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		master.Close()
		return nil, nil, "", fmt.Errorf("unlock terminal: %w", err)
	}
	// TIOCGPTPEER opens the slave without a path, which a process in the container could replace.
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		master.Close()
		return nil, nil, "", fmt.Errorf("open terminal %d: %w", n, errno)
	}
	path = "/dev/pts/" + strconv.Itoa(n)
	return master, os.NewFile(fd, path), path, nil
}

// control calls f with the file's descriptor. Unlike Fd, it leaves the file in Go's poller.
func control(file *os.File, f func(fd int) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = f(int(fd)) }); err != nil {
		return err
	}
	return result
}
