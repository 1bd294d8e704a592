package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// lockFirewall takes the lock on our rules. It is taken after that on the networks: what was read is true until it has
// been acted on.
func (m *Manager) lockFirewall() (unlock func(), err error) {
	return m.dir.LockShared(state.FirewallLock)
}

// installRules puts the rules of the networks in place, and of the ports that are published: all anew, or those that are
// not as they should be. It costs two processes a family, once for each time that a bridge is made.
func (m *Manager) installRules(ctx context.Context, networks []Network, anew bool) error {
	if err := m.recordVariant(); err != nil {
		return err
	}
	m.noteSeen("none")
	return m.eachFamily(true, func(f family, v variant) error {
		err := m.installFamily(ctx, f, v, networks, anew)
		if f == ipv6 && !slices.ContainsFunc(networks, Network.has6) {
			return nil // the bridges have no IPv6 anyway (prepare6): a firewall of IPv4 alone is enough
		}
		return err
	})
}

func (m *Manager) installFamily(ctx context.Context, f family, v variant, networks []Network, anew bool) error {
	saved, err := v.save(ctx, f)
	if err != nil {
		return err
	}
	published, err := m.publishedRules(f)
	if err != nil {
		return err
	}
	return v.restore(ctx, f, saved.install(f, networks, published, anew))
}

// uninstallRules deletes all rules of a network or container, whatever is there of them, those of IPv6 only
// where there may be some.
func (m *Manager) uninstallRules(ctx context.Context, tag string, has6 bool) error {
	none := true
	err := m.eachFamily(has6, func(f family, v variant) error {
		saved, err := v.save(ctx, f)
		var missing *missingTool
		if errors.As(err, &missing) {
			return nil // no tools, no rules
		}
		if err != nil {
			return err
		}
		changes, last := saved.uninstall(f, tag)
		none = none && last
		return v.restore(ctx, f, changes)
	})
	if err == nil && none {
		_ = os.Remove(m.variantPath())
		_ = os.Remove(m.seenPath())
	}
	return err
}

// eachFamily does something to the rules of IPv4, and where wanted to those of IPv6, under the lock.
func (m *Manager) eachFamily(both bool, do func(family, variant) error) error {
	unlock, err := m.lockFirewall()
	if err != nil {
		return err
	}
	defer unlock()
	return m.families(both, do)
}

// lookAtFamilies is [Manager.eachFamily] for who changes nothing.
func (m *Manager) lookAtFamilies(both bool, do func(family, variant) error) error {
	unlock, err := m.dir.LockForReading(state.FirewallLock)
	if err != nil {
		return err
	}
	defer unlock()
	return m.families(both, do)
}

func (m *Manager) families(both bool, do func(family, variant) error) error {
	v := m.variant()
	var errs []error
	errs = append(errs, do(ipv4, v))
	if both && hasIPv6() {
		errs = append(errs, do(ipv6, v))
	}
	return errors.Join(errs...)
}

// variant is one of the two firewalls of Linux that iptables works on: nft or legacy; "" is that of a system
// which does not tell. Both are asked for each packet, so our rules must be where those of others are that
// drop packets, and must be taken away from where they were put.
type variant string

const (
	variantNFT    variant = "nft"
	variantLegacy variant = "legacy"
)

func (m *Manager) variantPath() string { return filepath.Join(m.dir.Run, "firewall") }

// variant returns the one that has our rules, as it is written down in the runtime directory, or chooses it.
func (m *Manager) variant() variant {
	data, err := os.ReadFile(m.variantPath())
	if err == nil {
		return variant(strings.TrimSpace(string(data)))
	}
	return detect()
}

// recordVariant writes down where our rules are from now on.
func (m *Manager) recordVariant() error {
	if _, err := os.Stat(m.variantPath()); err == nil {
		return nil
	}
	v := detect()
	linux.TraceWrite(m.variantPath(), string(v))
	if err := os.MkdirAll(m.dir.Run, 0o700); err != nil {
		return err
	}
	return os.WriteFile(m.variantPath(), []byte(v+"\n"), 0o600)
}

// detect returns the variant that the host's administrator chose for the command iptables, or the other one
// where that alone has rules for what is forwarded.
func detect() variant {
	path, err := findTool("iptables-restore")
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return ""
	}
	chosen, other := variantNFT, variantLegacy
	switch name := filepath.Base(path); {
	case strings.Contains(name, "nft"):
	case strings.Contains(name, "legacy"):
		chosen, other = other, chosen
	default:
		return ""
	}
	if !chosen.busy() && other.busy() {
		return other
	}
	return chosen
}

// busy reports whether somebody but us has rules for what is forwarded in this variant.
func (v variant) busy() bool {
	if v == variantLegacy { // whose tools make the table that they look at
		names, err := os.ReadFile("/proc/net/ip_tables_names")
		if err != nil || !strings.Contains(string(names), "filter") {
			return false
		}
	}
	path, err := findTool("iptables-" + string(v) + "-save")
	if err != nil {
		return false
	}
	text, _ := exec.Command(path, "-t", "filter").Output() // none, no rules
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, ":FORWARD DROP") || strings.HasPrefix(line, "-A ") && !strings.Contains(line, chainPrefix) {
			return true
		}
	}
	return false
}

// restore makes changes in one batch.
func (v variant) restore(ctx context.Context, f family, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	for _, c := range changes {
		linux.Trace(append([]string{f.tool(), "-w", "-t", c.table}, c.words...)...)
	}
	_, err := v.run(ctx, f, batch(changes), "restore", "--noflush", "-w")
	return err
}

// save returns the rules of all.
func (v variant) save(ctx context.Context, f family) (savedRules, error) {
	text, err := v.run(ctx, f, "", "save")
	return parseSaved(text), err
}

func (f family) tool() string {
	if f == ipv6 {
		return "ip6tables"
	}
	return "iptables"
}

// run runs a tool of the firewall and returns its output.
func (v variant) run(ctx context.Context, f family, stdin, what string, args ...string) (string, error) {
	tool := f.tool() + "-" + what
	path, err := v.find(f, what)
	if err != nil {
		return "", err
	}
	var out, said strings.Builder
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is for us to answer
	if err := cmd.Run(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		return "", fmt.Errorf("%s: %w: %s", tool, err, first)
	}
	return out.String(), nil
}

// find finds a tool of the firewall.
func (v variant) find(f family, what string) (string, error) {
	if path, err := findTool(f.tool() + "-" + string(v) + "-" + what); v != "" && err == nil {
		return path, nil
	}
	return findTool(f.tool() + "-" + what)
}

// findTool finds a program of the system's administrator, also where PATH is a user's or, as in a
// hook of an OCI runtime, not set at all.
func findTool(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &missingTool{name}
}

// missingTool says that the firewall's tools are not installed.
type missingTool struct{ name string }

func (e *missingTool) Error() string { return e.name + ": program not found" }
func (e *missingTool) Unwrap() error { return fs.ErrNotExist }

// Hint tells the user what to do.
func (e *missingTool) Hint() string {
	return "install the package iptables, or run the container with --network none or --network host"
}
