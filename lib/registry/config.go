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

// EnvConfig is the variable with the path of registries.conf. By default, ownConfig or systemConfig is read, whichever
// exists first.
const EnvConfig = "CONTAINERS_REGISTRIES_CONF"

const (
	ownConfig    = "/etc/mydocker/registries.conf"
	systemConfig = "/etc/containers/registries.conf"
)

// config has the mirrors in containers-registries.conf(5), version 2. unqualified-search-registries is ignored, since
// short names always mean docker.io.
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

// maxConfig limits the size of a configuration file in bytes.
const maxConfig = 1 << 20

// readConfig reads registries.conf. Without a file, there are no mirrors.
func readConfig() (*config, error) {
	if err := checkLogins(); err != nil {
		return nil, err
	}
	paths := []string{ownConfig, systemConfig}
	if chosen := os.Getenv(EnvConfig); chosen != "" {
		paths = []string{chosen}
	}
	for i, path := range paths {
		data, err := linux.ReadInput(path, maxConfig)
		if errors.Is(err, fs.ErrNotExist) && (i < len(paths)-1 || path == systemConfig) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read mirrors from %s: %w", path, err)
		}
		var c config
		if err := toml.Unmarshal(data, &c); err != nil {
			return nil, fmt.Errorf("read mirrors from %s: %w", path, err)
		}
		return &c, nil
	}
	return &config{}, nil
}

// checkLogins refuses a login file that is a FIFO or too large, since regclient reads it without a limit. A file that
// cannot be opened is not an error: regclient then has no logins.
func checkLogins() error {
	dir := os.Getenv("DOCKER_CONFIG")
	if home, err := os.UserHomeDir(); dir == "" && err == nil {
		dir = filepath.Join(home, ".docker")
	}
	_, err := linux.ReadInput(filepath.Join(dir, "config.json"), maxConfig)
	var errno syscall.Errno
	if err == nil || errors.As(err, &errno) {
		return nil
	}
	return fmt.Errorf("read logins: %w", err)
}

// endpoint is a repository in a registry or mirror.
type endpoint struct {
	host     string // docker.io, 127.0.0.1:5000
	path     string // library/mysql
	insecure bool   // plain HTTP and unverified HTTPS are allowed
}

// endpoints returns the endpoints of an image in the order in which they are tried: the mirrors, then the registry
// itself.
func (c *config) endpoints(ref image.Reference, insecure bool) ([]endpoint, error) {
	name := ref.Domain + "/" + ref.Path
	r, rest := c.find(name)
	if r == nil {
		return []endpoint{newEndpoint(name, insecure)}, nil
	}
	if r.Blocked {
		return nil, fmt.Errorf("registry %s: blocked in registries.conf", r.key())
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

// find returns the entry with the longest matching prefix, and the rest of the name.
func (c *config) find(name string) (best *registryConfig, rest string) {
	length := -1
	for i := range c.Registries {
		r := &c.Registries[i]
		key := strings.TrimSuffix(r.key(), "/")
		if key == "" || len(key) <= length {
			continue
		}
		if domain, ok := strings.CutPrefix(key, "*"); ok { // *.example.com: matches hosts only
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

// newEndpoint splits HOST/PATH. A loopback address is always insecure: its traffic does not leave this machine.
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
