package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/weikeit/mydocker/lib/linux"
)

// links makes, finds and deletes links, addresses and routes of one namespace, by one socket: that is in the
// namespace in which it was opened, whoever uses it.
type links struct {
	*netlink.Handle
	in []string // put before the commands that are shown: the words of within
}

// openLinks opens the socket in the namespace of the calling thread.
func openLinks(in ...string) (links, error) {
	h, err := netlink.NewHandle(syscall.NETLINK_ROUTE)
	if err != nil {
		return links{}, fmt.Errorf("open a netlink socket: %w", err)
	}
	return links{h, in}, nil
}

// here opens a socket for each request, in the namespace of the calling thread.
func here() links { return links{Handle: new(netlink.Handle)} }

// within returns the words that run a command in the namespace at path.
func within(path string) []string { return []string{"nsenter", "--net=" + path} }

func (l links) trace(words ...string) {
	if linux.Tracing() {
		linux.Trace(append(append(l.in, "ip"), words...)...)
	}
}

// find returns the link of that name, nil where there is none.
func (l links) find(name string) (netlink.Link, error) {
	link, err := l.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for link %s: %w", name, err)
	}
	return link, nil
}

// mustFind returns the link of that name, which is to be there and up.
func (l links) mustFind(name string) (netlink.Link, error) {
	link, err := l.find(name)
	switch {
	case err != nil:
		return nil, err
	case link == nil:
		return nil, fmt.Errorf("link %s is missing", name)
	case link.Attrs().Flags&net.FlagUp == 0:
		return nil, fmt.Errorf("link %s is down", name)
	}
	return link, nil
}

func (l links) addAddress(link netlink.Link, addr netip.Prefix) error {
	name := link.Attrs().Name
	bits := addr.Addr().BitLen()
	ip := &netlink.Addr{IPNet: &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), bits)}}
	if addr.Addr().Is6() {
		// Leases see to it that nobody else has it; to ask around would take a second (RFC 4862, section 5.4).
		ip.Flags = flagNoDAD
		l.trace("addr", "add", addr.String(), "nodad", "dev", name)
	} else {
		l.trace("addr", "add", addr.String(), "brd", "+", "dev", name)
	}
	if err := l.AddrAdd(link, ip); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("add address %s to %s: %w", addr, name, err)
	}
	return nil
}

func (l links) setUp(link netlink.Link) error {
	name := link.Attrs().Name
	l.trace("link", "set", name, "up")
	if err := l.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// setLoopbackUp sets lo up, which is the first link of every namespace.
func (l links) setLoopbackUp() error {
	return l.setUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo", Index: 1}})
}

func (l links) addDefaultRoutes(link netlink.Link, gateways []netip.Addr) error {
	for _, gateway := range gateways {
		l.trace("route", "add", "default", "via", gateway.String(), "dev", link.Attrs().Name)
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice()}
		// One that is there stays: the namespace may be connected to another network by somebody else.
		if err := l.RouteAdd(route); err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("add default route by %s: %w", gateway, err)
		}
	}
	return nil
}

// awaitUp waits until the links pass packets. The kernel notices in its own time that the other end of a link
// is up, and until then it drops the first packets, which come again after a second only.
func (l links) awaitUp(names ...string) error {
	const most, step = time.Second, 100 * time.Microsecond
	for end := time.Now().Add(most); len(names) > 0; {
		link, err := l.LinkByName(names[0])
		switch {
		case err != nil:
			return fmt.Errorf("wait for link %s: %w", names[0], err)
		case link.Attrs().OperState == netlink.OperUp:
			names = names[1:]
		case time.Now().After(end):
			return nil // slow is no failure
		default:
			time.Sleep(step)
		}
	}
	return nil
}

// delete deletes a link, and with it its peer. It is idempotent. The link is gone at once, and the kernel goes on with
// it for ten milliseconds and more, until no processor can be using it (rcu_barrier in netdev_run_todo,
// net/core/dev.c): who can, does something else meanwhile.
func (l links) delete(name string) error {
	link, err := l.find(name)
	if err != nil || link == nil {
		return err
	}
	l.trace("link", "del", name)
	// ENODEV: its namespace, or its peer's, went meanwhile.
	if err := l.LinkDel(link); err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("delete link %s: %w", name, err)
	}
	return nil
}

// findLink is [links.find] in the namespace of the calling thread.
func findLink(name string) (netlink.Link, error) { return here().find(name) }

// mustFindLink is [links.mustFind] in the namespace of the calling thread.
func mustFindLink(name string) (netlink.Link, error) { return here().mustFind(name) }

// deleteLink is [links.delete] in the namespace of the calling thread.
func deleteLink(name string) error { return here().delete(name) }
