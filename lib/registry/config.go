package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/BurntSushi/toml"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
)

// EnvConfig names the file with the mirrors; without it the first of configFiles that exists is read.
const EnvConfig = "CONTAINERS_REGISTRIES_CONF"

const (
	ownConfig    = "/etc/mydocker/registries.conf"
	systemConfig = "/etc/containers/registries.conf"
)

// config is what of a file in the form of containers-registries.conf(5), version 2, is about where to
// fetch from. Short names always mean docker.io here, so unqualified-search-registries is not read.
type config struct {
	Registries []registryConfig `toml:"registry"`
}

type registryConfig struct {
	Prefix             string         `toml:"prefix"`
	Location           string         `toml:"location"`
	Insecure           bool           `toml:"insecure"`
	Blocked            bool           `toml:"blocked"`
	MirrorByDigestOnly bool           `toml:"mirror-by-digest-only"`
	Mirrors            []mirrorConfig `toml:"mirror"`
}

type mirrorConfig struct {
	Location       string `toml:"location"`
	Insecure       bool   `toml:"insecure"`
	PullFromMirror string `toml:"pull-from-mirror"` // all, digest-only, tag-only
}

// maxConfig bounds the file with the mirrors in bytes.
const maxConfig = 1 << 20

// readConfig reads the file with the mirrors; no file is no mirrors.
func readConfig() (*config, error) {
	if err := checkLogins(); err != nil {
		return nil, err
	}
	paths := []string{ownConfig, systemConfig}
	if chosen := os.Getenv(EnvConfig); chosen != "" {
		paths = []string{chosen}
	}
	for i, path := range paths {
		var c config
		data, err := linux.ReadGiven(path, maxConfig)
		if err == nil {
			err = toml.Unmarshal(data, &c)
		}
		if errors.Is(err, fs.ErrNotExist) && (i < len(paths)-1 || path == systemConfig) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read mirrors: %s: %w", path, err)
		}
		return &c, nil
	}
	return &config{}, nil
}

// checkLogins refuses a file of logins without an end. The library that reads it reads it whole, and waits for a FIFO; what
// it cannot open is no login to it.
func checkLogins() error {
	dir := os.Getenv("DOCKER_CONFIG")
	if home, err := os.UserHomeDir(); dir == "" && err == nil {
		dir = filepath.Join(home, ".docker")
	}
	_, err := linux.ReadGiven(filepath.Join(dir, "config.json"), maxConfig)
	var errno syscall.Errno
	if err == nil || errors.As(err, &errno) {
		return nil
	}
	return fmt.Errorf("read logins: %w", err)
}

// endpoint is one place to fetch a repository from.
type endpoint struct {
	host     string // docker.io, 127.0.0.1:5000
	path     string // library/mysql
	insecure bool   // plain http or unverified https will do
}

// endpoints returns the places of the image, in the order in which they are tried: the mirrors, then
// the registry itself.
func (c *config) endpoints(ref image.Reference, insecure bool) ([]endpoint, error) {
	name := ref.Domain + "/" + ref.Path
	r, rest := c.find(name)
	if r == nil {
		return []endpoint{newEndpoint(name, insecure)}, nil
	}
	if r.Blocked {
		return nil, fmt.Errorf("registry %s: blocked by the configuration of mirrors", r.key())
	}
	var list []endpoint
	for _, m := range r.Mirrors {
		byDigest := r.MirrorByDigestOnly || m.PullFromMirror == "digest-only"
		if byDigest && ref.Digest == "" || m.PullFromMirror == "tag-only" && ref.Digest != "" {
			continue
		}
		list = append(list, newEndpoint(m.Location+rest, m.Insecure || insecure))
	}
	own := name
	if r.Location != "" {
		own = r.Location + rest
	}
	return append(list, newEndpoint(own, r.Insecure || insecure)), nil
}

func (r *registryConfig) key() string {
	if r.Prefix != "" {
		return r.Prefix
	}
	return r.Location
}

// find returns the entry with the longest prefix of the name, and what of the name follows it.
func (c *config) find(name string) (best *registryConfig, rest string) {
	length := -1
	for i := range c.Registries {
		r := &c.Registries[i]
		key := strings.TrimSuffix(r.key(), "/")
		if key == "" || len(key) <= length {
			continue
		}
		if domain, ok := strings.CutPrefix(key, "*"); ok { // *.example.com: of hosts alone
			host, after, _ := strings.Cut(name, "/")
			if strings.HasSuffix(host, domain) {
				best, rest, length = r, "/"+after, len(key)
			}
			continue
		}
		after, ok := strings.CutPrefix(name, key)
		if ok && (after == "" || after[0] == '/') {
			best, rest, length = r, after, len(key)
		}
	}
	return best, rest
}

// newEndpoint parts HOST/PATH. What listens on the loopback device is this machine: whoever could
// listen in there needs no network for it.
func newEndpoint(location string, insecure bool) endpoint {
	host, p, _ := strings.Cut(location, "/")
	return endpoint{host: host, path: path.Clean(p), insecure: insecure || isLoopback(host)}
}

func isLoopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = strings.Trim(hostPort, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
