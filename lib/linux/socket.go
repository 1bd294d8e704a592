package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SocketPair returns both ends of a socket that preserves message boundaries and passes descriptors. Package net would
// add a megabyte to programs that do not need it otherwise.
func SocketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket"), nil
}

// SendToSocket sends a descriptor and its name to the listener on a Unix socket (unix(7), SCM_RIGHTS), as OCI runtimes
// pass a terminal to their callers.
func SendToSocket(path, name string, file *os.File) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("send %s: %w", name, err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return fmt.Errorf("send %s: connect to %s: %w", name, path, err)
	}
	return wrap("send "+name, unix.Sendmsg(fd, []byte(name), unix.UnixRights(int(file.Fd())), nil, 0))
}

// Receive reads the next message of a socket, and the descriptor that came with it, if any.
func Receive(socket *os.File, buffer []byte) (int, *os.File, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := unix.Recvmsg(int(socket.Fd()), buffer, oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil || oobn == 0 {
			return n, nil, wrap("receive", err)
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil || len(messages) != 1 {
			return n, nil, fmt.Errorf("receive descriptor: unexpected control message")
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 {
			return n, nil, fmt.Errorf("receive descriptor: got %d, want 1", len(fds))
		}
		// Non-blocking, so that Go's poller takes it and read deadlines work.
		if err := unix.SetNonblock(fds[0], true); err != nil {
			return n, nil, wrap("receive", err)
		}
		return n, os.NewFile(uintptr(fds[0]), "received"), nil
	}
}
