package network

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// endpointOptions is what somebody asks for who wants a connection that is not as we choose it.
type endpointOptions struct {
	address  netip.Addr       // of the network
	address6 netip.Addr       // the same of IPv6
	mac      net.HardwareAddr // of the link inside
	link     string           // its name
	aliases  []string
}

// ConnectOptions are what a user may wish for.
type ConnectOptions struct {
	IP    []string `name:"ip" sep:"none" placeholder:"ADDRESS" help:"The address, of IPv4 or IPv6 or one of each (default: the lowest that is free)"`
	Alias []string `sep:"none" placeholder:"NAME" help:"One more name by which others in the network find the container"`
}

func (o ConnectOptions) wish() (w endpointOptions, err error) {
	for _, word := range o.IP {
		if err := w.setAddress(word); err != nil {
			return w, err
		}
	}
	for _, word := range o.Alias {
		if err := w.addAlias(word); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *endpointOptions) setAddress(word string) error {
	addr, err := netip.ParseAddr(word)
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		return fmt.Errorf("address %.80q: want one of IPv4 or IPv6, such as 10.10.1.5", word)
	}
	where := &w.address
	if addr.Is6() {
		where = &w.address6
	}
	if where.IsValid() {
		return fmt.Errorf("address %s: there is %s already", addr, where)
	}
	*where = addr
	return nil
}

// addAlias takes what can stand in a hosts file as a name (hosts(5)).
func (w *endpointOptions) addAlias(word string) error {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._", r)
	}
	odd := func(r rune) bool { return !plain(r) }
	if word == "" || len(word) > 253 || strings.ContainsFunc(word, odd) || strings.ContainsRune("-.", rune(word[0])) {
		return fmt.Errorf("alias %.80q: want letters, digits, dots and dashes", word)
	}
	if !slices.Contains(w.aliases, word) {
		w.aliases = append(w.aliases, word)
	}
	return nil
}

// parseMAC reads the hardware address of one host.
func parseMAC(word string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(word)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 || bytes.Equal(mac, make([]byte, 6)) {
		return nil, fmt.Errorf("mac %.80q: want the hardware address of one host", word)
	}
	return mac, nil
}
