package linux

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Families selects the address families of a socket that is bound to the zero address.
type Families int

// Without IPv6 in the kernel, BothFamilies means IPv4.
const (
	OnlyIPv4 Families = iota
	BothFamilies
)

// BindPort binds a socket to a port and returns its descriptor. No other program can bind the port while it is open.
// TCP and SCTP sockets do not listen, so that clients are refused as on an unused port; datagrams are dropped. The zero
// address stands for all addresses of the families. If the kernel does not have the protocol, the descriptor is -1.
func BindPort(address netip.Addr, port uint16, protocol string, families Families) (fd int, err error) {
	fd, err = bindPort(address, port, protocol, families, false)
	if errors.Is(err, unix.EADDRINUSE) && protocol == "tcp" {
		// Connections of an earlier program may be in TIME_WAIT; SO_REUSEADDR ignores them.
		fd, err = bindPort(address, port, protocol, families, true)
	}
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ESOCKTNOSUPPORT) {
		return -1, nil
	}
	return fd, err
}

func bindPort(address netip.Addr, port uint16, protocol string, families Families, reuse bool) (fd int, err error) {
	kind, number := unix.SOCK_STREAM, unix.IPPROTO_TCP
	switch protocol {
	case "udp":
		kind, number = unix.SOCK_DGRAM, unix.IPPROTO_UDP
	case "sctp":
		number = unix.IPPROTO_SCTP
	}
	family := unix.AF_INET6
	if address.Is4() || !address.IsValid() && families == OnlyIPv4 {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, number)
	if err == unix.EAFNOSUPPORT && !address.IsValid() {
		family = unix.AF_INET
		fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, number)
	}
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if kind == unix.SOCK_DGRAM {
		err = dropAll(fd)
	}
	if err == nil {
		err = bindSocket(fd, family, netip.AddrPortFrom(address, port), reuse)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindSocket binds a socket. An IPv6 socket on no valid address is bound for IPv4 as well.
func bindSocket(fd, family int, to netip.AddrPort, reuse bool) error {
	address := unix.Sockaddr(&unix.SockaddrInet4{Port: int(to.Port())})
	switch {
	case family == unix.AF_INET6:
		only, address6 := 0, &unix.SockaddrInet6{Port: int(to.Port())}
		if to.Addr().IsValid() {
			only, address6.Addr = 1, to.Addr().As16()
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return os.NewSyscallError("setsockopt IPV6_V6ONLY", err)
		}
		address = address6
	case to.Addr().Is4():
		address = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	if !reuse {
		return os.NewSyscallError("bind", unix.Bind(fd, address))
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	if err := unix.Bind(fd, address); err != nil {
		return os.NewSyscallError("bind", err)
	}
	return endReuse(fd)
}

// endReuse takes SO_REUSEADDR back after a bind. listen(2) makes the kernel check that no other socket shares the port.
func endReuse(fd int) error {
	if err := unix.Listen(fd, 0); err != nil {
		return os.NewSyscallError("listen", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_RD))
}

// dropAll attaches a one-instruction filter that drops every packet of a socket.
func dropAll(fd int) error {
	program := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &program[0]})
	return os.NewSyscallError("setsockopt SO_ATTACH_FILTER", err)
}
