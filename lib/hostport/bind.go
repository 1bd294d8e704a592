// Package hostport manages the host ports of containers: the grammar of --publish ([Parse]), the host ports that containers
// have reserved ([Reservations]), and the sockets that keep them bound ([Hold]).
//
// Firewall rules that publish a port bind nothing. Without a socket the port looks free to other programs, which would then
// wait for clients that the rules send elsewhere. [Check] tests whether ports are free before anything is made. [Hold]
// binds them while the container runs: the sockets belong to its monitor, and the kernel closes them when that process
// ends. Programs that the monitor starts do not inherit them.
package hostport

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Check returns an error if a host port cannot be bound: another program has it, or the host lacks the address. The zero
// address means every address of both families.
func Check(address netip.Addr, port uint16, protocol string) error {
	fd, err := bind(address, port, protocol, linux.BothFamilies)
	if err == nil && fd >= 0 {
		syscall.Close(fd)
	}
	return err
}

func bind(address netip.Addr, port uint16, protocol string, families linux.Families) (int, error) {
	fd, err := linux.BindPort(address, port, protocol, families)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		err = fmt.Errorf("port %d is taken by another program on this host", port)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		err = fmt.Errorf("%s is not an address of this host", address)
	}
	return fd, err
}

// Held is a set of bound ports. A nil Held is empty.
type Held struct{ fds []int }

// Hold binds the ports that a container publishes. A UDP port on all addresses is bound for IPv6 only if the container has
// an IPv6 address; otherwise a client must see at once that nothing answers there.
func Hold(n state.Net) (*Held, error) {
	h := new(Held)
	for _, p := range n.Ports {
		families := linux.BothFamilies
		if p.Protocol == "udp" && n.Outlet(state.IPv6) < 0 {
			families = linux.OnlyIPv4
		}
		fd, err := bind(p.HostIP, p.HostPort, p.Protocol, families)
		if err != nil {
			h.Close()
			return nil, fmt.Errorf("publish %d/%s: %w", p.ContainerPort, p.Protocol, err)
		}
		if fd >= 0 {
			h.fds = append(h.fds, fd)
		}
	}
	return h, nil
}

// Close releases the ports. It is idempotent.
func (h *Held) Close() {
	if h == nil {
		return
	}
	for _, fd := range h.fds {
		syscall.Close(fd)
	}
	h.fds = nil
}

// FDs returns the file descriptors of the sockets.
func (h *Held) FDs() []int {
	if h == nil {
		return nil
	}
	return h.fds
}

// Files passes the sockets to the caller, which closes them.
func (h *Held) Files() []*os.File {
	var files []*os.File
	for _, fd := range h.FDs() {
		files = append(files, os.NewFile(uintptr(fd), "port"))
	}
	if h != nil {
		h.fds = nil
	}
	return files
}

// Adopt returns the ports whose sockets this process has inherited. word lists their file descriptors as [Word] does.
func Adopt(word string) (*Held, error) {
	h := new(Held)
	for part := range strings.SplitSeq(word, ",") {
		if word == "" {
			break
		}
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err := errors.Join(err1, err2); err != nil || first < 3 || last < first {
			return nil, fmt.Errorf("descriptors %.40q: want numbers", word)
		}
		for fd := first; fd <= last; fd++ {
			syscall.CloseOnExec(fd)
			h.fds = append(h.fds, fd)
		}
	}
	return h, nil
}

// Word lists file descriptors for [Adopt]: "5-7,9".
func Word(fds []int) string {
	var b strings.Builder
	for i := 0; i < len(fds); {
		first := i
		for i++; i < len(fds) && fds[i] == fds[i-1]+1; i++ {
		}
		if first > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(fds[first]))
		if i-first > 1 {
			b.WriteString("-" + strconv.Itoa(fds[i-1]))
		}
	}
	return b.String()
}
