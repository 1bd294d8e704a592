package linux

import (
	"fmt"
	"syscall"
	"unsafe"
)

// SendAside has a process of its own send a message to the kernel by the socket, which ends when the kernel has
// dealt with it: for what takes long, and nobody need wait for. It has no descriptor but the socket, so
// that whoever reads what this process writes is not kept waiting.
func SendAside(socket int, message []byte) error {
	l := NewSteps(-1)
	if socket > 0 {
		l.add(&sysCloseRange, num(0), num(socket-1))
	}
	l.add(&sysCloseRange, num(socket+1), num(int(^uint32(0))))
	l.Chdir("/") // or it would keep a file system busy
	l.add(&sysWrite, num(socket), block(unsafe.Pointer(unsafe.SliceData(message))), num(len(message)))
	pid, err := l.Fork(0, nil)
	if err != nil {
		return fmt.Errorf("send aside: %w", err)
	}
	go syscall.Wait4(pid, nil, 0, nil) // this process often ends before
	return nil
}
