package rootfs

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/program"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Options are the user's options for the root and program of a container. They are grouped so that `mydocker run` can
// list its options in the README's order.
type Options struct {
	Identity
	Files
	Driver
	Extras
	Security
	Bounds
}

// Identity has the names of the container and its DNS servers.
type Identity struct {
	Name     string   `short:"n" help:"Assign a name to the container"`
	Hostname string   `help:"Set hostname in the container"`
	DNS      []string `name:"dns" help:"Set DNS servers in the container (default: \"8.8.8.8\", \"8.8.4.4\")"`
}

// Files has the environment and the volumes.
type Files struct {
	Env    []string `short:"e" sep:"none" help:"Set environment variables, e.g. -e key=value"`
	Volume []string `short:"v" sep:"none" help:"Bind a local directory/file, e.g. -v /src:/dst"`
}

// Driver selects the storage driver.
type Driver struct {
	StorageDriver string `short:"s" help:"Storage driver to be used (default: \"overlay2\")"`
}

// Extras has the options that the README does not list.
type Extras struct {
	AddHost     []string `sep:"none" placeholder:"HOST:IP" help:"Add a name to the hosts file; the address host-gateway is this host's"`
	DNSSearch   []string `name:"dns-search" sep:"none" help:"Complete names with this domain (. for none)"`
	DNSOption   []string `name:"dns-option" docker:"dns-opt" sep:"none" help:"Set an option of the resolver, e.g. ndots:2 (resolv.conf(5))"`
	EnvFile     []string `sep:"none" help:"Set environment variables from a file, one key=value per line"`
	Workdir     string   `short:"w" help:"Working directory in the container"`
	User        string   `short:"u" help:"User of the program: name or number, or user:group"`
	Entrypoint  *string  `help:"Program to run in place of the image's entrypoint; empty for none"`
	Label       []string `short:"l" sep:"none" help:"Set a label on the container, e.g. -l key=value"`
	ReadOnly    bool     `help:"Make the root file system read-only"`
	Tmpfs       []string `sep:"none" help:"Mount an empty tmpfs, e.g. --tmpfs /run:size=64m"`
	Init        bool     `help:"Run a small init as PID 1, which passes on signals and reaps processes"`
	TTY         *bool    `name:"tty" short:"t" help:"Give the program a terminal"`
	Interactive bool     `help:"Keep standard input open"`
	StopSignal  string   `help:"Signal that asks the program to end (default: the image's, else SIGTERM)"`
}

// plan has the parsed options. All are checked before the container is created.
type plan struct {
	options    Options
	driver     driver
	driverName string
	dns        []string
	resolver   []string // additional lines of resolv.conf
	hosts      []string // additional lines of the hosts file
	env        []program.Variable
	labels     map[string]string
	tmpfs      []tmpfsOption
	volumes    []volumeOption
	taken      map[string]bool // destinations of tmpfs and volumes
	stopSignal string
	posture    posture
	bounds     bounds
}

// OptionError reports invalid options. Nothing was created.
type OptionError struct{ error }

func (e *OptionError) Unwrap() error { return e.error }

func (m *Manager) parse(o Options) (*plan, error) {
	p := &plan{options: o, driverName: o.StorageDriver}
	var err error
	if p.driverName == "" {
		p.driverName = DefaultDriver
	}
	if p.driver, err = driverNamed(p.driverName); err != nil {
		return nil, err
	}
	if o.Name != "" {
		if err := state.CheckName("container", o.Name); err != nil {
			return nil, err
		}
	}
	if err := checkHostname(o.Hostname); err != nil {
		return nil, err
	}
	if o.Workdir != "" && !path.IsAbs(o.Workdir) {
		return nil, fmt.Errorf("working directory %.200q: want an absolute path", o.Workdir)
	}
	if p.dns, err = parseDNS(o.DNS); err != nil {
		return nil, err
	}
	if p.resolver, err = parseResolver(o.DNSSearch, o.DNSOption); err != nil {
		return nil, err
	}
	if p.hosts, err = parseHosts(o.AddHost); err != nil {
		return nil, err
	}
	if p.env, err = m.LookupEnv.ParseEnv(o.EnvFile, o.Env); err != nil {
		return nil, err
	}
	if p.labels, err = spec.ParseLabels(o.Label); err != nil {
		return nil, err
	}
	if o.StopSignal != "" {
		sig, err := linux.SignalNumber(o.StopSignal)
		if err != nil {
			return nil, err
		}
		p.stopSignal = linux.SignalName(sig)
	}
	if p.posture, err = parseSecurity(o.Security); err != nil {
		return nil, err
	}
	if p.bounds, err = parseBounds(o.Bounds); err != nil {
		return nil, err
	}
	return p, m.parseMounts(p)
}

// parseMounts parses -v and --tmpfs and refuses duplicate destinations.
func (m *Manager) parseMounts(p *plan) error {
	home, _ := m.LookupEnv("HOME")
	p.taken = make(map[string]bool)
	claim := func(destination string) error {
		if p.taken[destination] {
			return fmt.Errorf("destination %.200q: given twice", destination)
		}
		p.taken[destination] = true
		return nil
	}
	for _, word := range p.options.Tmpfs {
		t, err := parseTmpfs(word)
		if err != nil {
			return fmt.Errorf("tmpfs %.200q: %w", word, err)
		}
		if err := claim(t.destination); err != nil {
			return fmt.Errorf("tmpfs %.200q: %w", word, err)
		}
		p.tmpfs = append(p.tmpfs, t)
	}
	for _, word := range p.options.Volume {
		v, err := parseVolume(word, home)
		if err != nil {
			return fmt.Errorf("volume %.200q: %w", word, err)
		}
		if err := claim(v.destination); err != nil {
			return fmt.Errorf("volume %.200q: %w", word, err)
		}
		p.volumes = append(p.volumes, v)
	}
	return nil
}

// checkHostname limits a hostname to 64 bytes, as the kernel does (gethostname(2)), and to the characters that a hosts
// file allows.
func checkHostname(name string) error {
	if len(name) > 64 {
		return fmt.Errorf("hostname %.80q: longer than 64 bytes", name)
	}
	for _, r := range name {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._", r)) {
			return fmt.Errorf("hostname %.80q: want letters, digits, dots and dashes", name)
		}
	}
	return nil
}

func parseDNS(servers []string) ([]string, error) {
	if len(servers) == 0 {
		return []string{"8.8.8.8", "8.8.4.4"}, nil
	}
	out := make([]string, len(servers))
	for i, server := range servers {
		addr, err := netip.ParseAddr(server)
		if err != nil {
			return nil, fmt.Errorf("DNS server %.80q: not an IP address", server)
		}
		out[i] = addr.String()
	}
	return out, nil
}

// checkDestination checks the destination of a mount and returns its clean form.
func checkDestination(destination string) (string, error) {
	clean := path.Clean(destination)
	switch {
	case destination == "":
		return "", errors.New("destination is empty")
	case !path.IsAbs(destination):
		return "", fmt.Errorf("destination %.200q: want an absolute path", destination)
	case clean == "/":
		return "", errors.New("destination must not be /")
	case clean == "/proc" || beneath(clean, "/proc"):
		return "", fmt.Errorf("destination %.200q: must not be in /proc", destination)
	case strings.ContainsRune(clean, 0):
		return "", errors.New("destination has a NUL byte")
	}
	return clean, nil
}
