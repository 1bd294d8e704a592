package rootfs

import (
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// The files of the bundle that are bound over the container's /etc. Whoever changes one later (the
// addresses in hosts are lib/network's) must write into the file itself: a new one in its place would
// not show inside.
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

// writeEtc writes the files into the bundle and returns their mounts, but for those in whose place
// the user has put something.
func (c *container) writeEtc(hostname string) ([]specs.Mount, error) {
	resolv := ""
	for _, server := range c.dns {
		resolv += "nameserver " + server + "\n"
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
