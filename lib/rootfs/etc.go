package rootfs

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// Files of the bundle that are bind-mounted into the container's /etc. They must be changed in place (lib/network writes
// addresses to hosts): the container would not see a file that replaces one by rename.
const (
	HostsFile    = "hosts"
	HostnameFile = "hostname"
	ResolvFile   = "resolv.conf"
)

const hosts = `127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::0	ip6-localnet
ff00::0	ip6-mcastprefix
ff02::1	ip6-allnodes
ff02::2	ip6-allrouters
`

// writeEtc writes the files to the bundle and returns their mounts. It skips a file if a volume or tmpfs of the user has
// its destination.
func (c *container) writeEtc(hostname string) ([]specs.Mount, error) {
	resolv := ""
	for _, server := range c.dns {
		resolv += "nameserver " + server + "\n"
	}
	for _, line := range c.resolver {
		resolv += line + "\n"
	}
	hosts := hosts
	for _, line := range c.hosts {
		hosts += line + "\n"
	}
	var mounts []specs.Mount
	for _, f := range []struct{ name, content string }{
		{HostsFile, hosts}, {HostnameFile, hostname + "\n"}, {ResolvFile, resolv},
	} {
		destination := "/etc/" + f.name
		if c.taken[destination] {
			continue
		}
		path := filepath.Join(c.dir.Bundle(c.id), f.name)
		linux.TraceWrite(path, strings.TrimSuffix(f.content, "\n"))
		if err := linux.WriteFile(path, []byte(f.content), 0o644); err != nil {
			return nil, err
		}
		mounts = append(mounts, specs.Mount{
			Destination: destination, Type: "bind", Source: path, Options: []string{"rbind", "rprivate"},
		})
	}
	return mounts, nil
}

// parseResolver returns the lines of resolv.conf for --dns-search and --dns-option.
func parseResolver(search, options []string) ([]string, error) {
	var lines []string
	for _, domain := range search {
		if domain != "." && !isDomain(domain) {
			return nil, fmt.Errorf("DNS search domain %.80q: want letters, digits, dots and dashes", domain)
		}
	}
	if len(search) > 0 {
		lines = append(lines, "search "+strings.Join(search, " "))
	}
	for _, option := range options {
		if option == "" || strings.ContainsFunc(option, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return nil, fmt.Errorf("DNS option %.80q: want one word, such as ndots:2", option)
		}
	}
	if len(options) > 0 {
		lines = append(lines, "options "+strings.Join(options, " "))
	}
	return lines, nil
}

// parseHosts returns the lines of the hosts file for --add-host. The word host-gateway stands for the host's address in
// the container's network. It is not known yet: lib/network completes such a line.
func parseHosts(words []string) ([]string, error) {
	var lines []string
	for _, word := range words {
		name, address, ok := strings.Cut(word, "=")
		if !ok {
			name, address, ok = strings.Cut(word, ":")
		}
		address = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
		addr, err := netip.ParseAddr(address)
		switch {
		case !ok || !isDomain(name):
			return nil, fmt.Errorf("host %.80q: want NAME:ADDRESS", word)
		case address == "host-gateway":
			lines = append(lines, "#host-gateway\t"+name)
		case err != nil || addr.Zone() != "":
			return nil, fmt.Errorf("host %.80q: want an IP address, or host-gateway", word)
		default:
			lines = append(lines, addr.String()+"\t"+name)
		}
	}
	return lines, nil
}

// isDomain reports whether word is a valid host or domain name.
func isDomain(word string) bool {
	for _, r := range word {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._", r)) {
			return false
		}
	}
	return word != "" && len(word) <= 253 && word[0] != '.' && word[0] != '-'
}
