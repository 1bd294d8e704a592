// Package firewall makes the rules of networks and of published ports with iptables, and compares the kernel's rules with
// what should be there. The rules are described in rules.go.
package firewall

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
	"sync/atomic"
	"time"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Firewall has the rules of the networks and containers of a state directory. Its lock is taken after the network lock, so
// that what was read is still true when it is acted on.
type Firewall struct {
	dir     state.Dir
	checked atomic.Pointer[time.Time] // when this process last compared the rules
}

// New returns the firewall of a state directory.
func New(dir state.Dir) *Firewall { return &Firewall{dir: dir} }

// scope is the families that an operation concerns.
type scope bool

const (
	onlyIPv4     scope = false
	bothFamilies scope = true
)

// Install adds the rules of the bridges and of published ports, as far as they differ from what should be there. It runs
// two processes for each family.
func (fw *Firewall) Install(ctx context.Context, bridges []Bridge) error {
	return fw.install(ctx, bridges, false)
}

// Reinstall replaces all rules of the bridges and of published ports.
func (fw *Firewall) Reinstall(ctx context.Context, bridges []Bridge) error {
	return fw.install(ctx, bridges, true)
}

func (fw *Firewall) install(ctx context.Context, bridges []Bridge, anew bool) error {
	if err := fw.recordVariant(); err != nil {
		return err
	}
	fw.noteVersion("none")
	has6 := slices.ContainsFunc(bridges, func(b Bridge) bool { return len(b.subnets(state.IPv6)) > 0 })
	return fw.changing(bothFamilies, func(f state.Family, v variant) error {
		err := fw.installFamily(ctx, f, v, bridges, anew)
		if f == state.IPv6 && !has6 && !killed(err) {
			return nil // the bridges have IPv6 disabled, so a firewall without IPv6 is enough
		}
		return err
	})
}

// killed reports whether a signal ended the tool: then it is not known what the host's firewall can do.
func killed(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && !exit.Exited()
}

func (fw *Firewall) installFamily(ctx context.Context, f state.Family, v variant, bridges []Bridge, anew bool) error {
	saved, err := v.save(ctx, f)
	if err != nil {
		return err
	}
	published, err := fw.publishedRules(f)
	if err != nil {
		return err
	}
	return v.restore(ctx, f, saved.install(f, bridges, published, anew))
}

// Remove removes all rules with a tag. It is idempotent.
func (fw *Firewall) Remove(ctx context.Context, tag string) error {
	none := true
	err := fw.changing(bothFamilies, func(f state.Family, v variant) error {
		saved, err := v.save(ctx, f)
		if isMissingTool(err) {
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
		_ = os.Remove(fw.variantPath())
		_ = os.Remove(fw.versionPath())
	}
	return err
}

// ChangeVariant removes all our rules if the host's administrator has changed from one variant of iptables to the other. The
// next install uses the new one. bridges lists all networks.
func (fw *Firewall) ChangeVariant(ctx context.Context, bridges func() ([]Bridge, error)) error {
	old := fw.variant()
	if old == detect() {
		return nil
	}
	all, err := bridges()
	if err != nil {
		return err
	}
	if err := fw.removeAll(ctx, old, all); err != nil {
		return err
	}
	if err := os.Remove(fw.variantPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeAll removes all our rules, chains and hooks of a variant.
func (fw *Firewall) removeAll(ctx context.Context, v variant, bridges []Bridge) error {
	return fw.changing(bothFamilies, func(f state.Family, _ variant) error {
		saved, err := v.save(ctx, f)
		if isMissingTool(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := v.restore(ctx, f, saved.ours(bridges)); err != nil {
			return err
		}
		if saved, err = v.save(ctx, f); err != nil {
			return err
		}
		changes, _ := saved.uninstall(f, NetworkTag(""))
		return v.restore(ctx, f, changes)
	})
}

// checkInterval is how long a comparison of the rules holds: a command with a container in several networks compares once.
const checkInterval = time.Second

// IsWhole reports whether the rules of all bridges and published ports are there. It reads the kernel's rules and starts no
// process. Rules that cannot be read count as there.
func (fw *Firewall) IsWhole(bridges func() ([]Bridge, error)) bool {
	now := time.Now()
	if before := fw.checked.Swap(&now); before != nil && now.Sub(*before) < checkInterval {
		return true
	}
	v := fw.variant()
	if v == "" {
		return true
	}
	k, err := v.open()
	if err != nil {
		return true
	}
	defer k.Close()
	version := k.version()
	if seen, err := os.Readlink(fw.versionPath()); err == nil && seen == version {
		return true
	}
	whole, known := fw.isWholeIn(v, k, bridges)
	if !whole {
		// Another command may be publishing a port. It has the lock.
		unlock, err := fw.dir.LockForReading(state.FirewallLock)
		if err != nil {
			return true
		}
		defer unlock()
		version = k.version()
		if whole, known = fw.isWholeIn(v, k, bridges); !whole {
			return false
		}
	}
	if known && version != "" {
		fw.noteVersion(version)
	}
	return true
}

// isWholeIn compares the rules once. known is false if some could not be read, so that the next start compares again.
func (fw *Firewall) isWholeIn(v variant, k kernelRules, bridges func() ([]Bridge, error)) (whole, known bool) {
	list, err := bridges()
	if err != nil {
		return true, false
	}
	known = true
	for _, f := range state.Families() {
		if f == state.IPv6 && !link.HasIPv6() {
			continue
		}
		published, err := fw.published(f)
		if err != nil {
			known = false
			continue
		}
		found, err := k.rules(f)
		if err != nil {
			known = false
			continue
		}
		if found.lacks(f, list, published) != "" && v.can(f) {
			return false, true
		}
	}
	return true, known
}

// Fault is a difference between the rules of a tool and what should be there.
type Fault struct{ Tool, Reason string }

// Faults lists the tools whose rules of the bridges and of published ports are not whole.
func (fw *Firewall) Faults(ctx context.Context, bridges []Bridge) ([]Fault, error) {
	var found []Fault
	err := fw.reading(bothFamilies, func(f state.Family, v variant) error {
		saved, err := v.save(ctx, f)
		if isMissingTool(err) {
			return nil
		}
		if err != nil {
			return err
		}
		published, err := fw.published(f)
		if reason := saved.ruleset().lacks(f, bridges, published); reason != "" {
			found = append(found, Fault{toolOf(f), reason})
		}
		return err
	})
	return found, err
}

// CheckPorts returns an error if rules of a container's ports are missing.
func (fw *Firewall) CheckPorts(ctx context.Context, id string, n state.Net) error {
	if len(n.Ports) == 0 {
		return nil
	}
	return fw.reading(scopeOf(n), func(f state.Family, v variant) error {
		saved, err := v.save(ctx, f)
		if err != nil {
			return err
		}
		found, _ := saved.tagged(ContainerTag(id))
		if want := len(portRules(f, id, n)); len(found) != want {
			return fmt.Errorf("published ports: the firewall has %d rules for them, not %d", len(found), want)
		}
		return nil
	})
}

// changing calls do for each family in scope under the lock.
func (fw *Firewall) changing(in scope, do func(state.Family, variant) error) error {
	unlock, err := fw.dir.LockShared(state.FirewallLock)
	if err != nil {
		return err
	}
	defer unlock()
	return fw.each(in, do)
}

// reading is [Firewall.changing] with the lock for reading.
func (fw *Firewall) reading(in scope, do func(state.Family, variant) error) error {
	unlock, err := fw.dir.LockForReading(state.FirewallLock)
	if err != nil {
		return err
	}
	defer unlock()
	return fw.each(in, do)
}

func (fw *Firewall) each(in scope, do func(state.Family, variant) error) error {
	v := fw.variant()
	errs := []error{do(state.IPv4, v)}
	if in == bothFamilies && link.HasIPv6() {
		errs = append(errs, do(state.IPv6, v))
	}
	return errors.Join(errs...)
}

// versionPath is a symbolic link to the version of the rules when they were last found whole. While the version is the
// same, one request is enough.
func (fw *Firewall) versionPath() string { return filepath.Join(fw.dir.Run, "firewall-seen") }

// noteVersion stores the version. If that fails, the next command compares the rules again.
func (fw *Firewall) noteVersion(version string) {
	_ = os.Remove(fw.versionPath())
	_ = os.Symlink(version, fw.versionPath())
}

func (fw *Firewall) variantPath() string { return filepath.Join(fw.dir.Run, "firewall") }

// variant returns the recorded variant, or else detects one.
func (fw *Firewall) variant() variant {
	data, err := os.ReadFile(fw.variantPath())
	if err == nil {
		return variant(strings.TrimSpace(string(data)))
	}
	return detect()
}

// recordVariant records the variant of our rules.
func (fw *Firewall) recordVariant() error {
	if _, err := os.Stat(fw.variantPath()); err == nil {
		return nil
	}
	v := detect()
	linux.TraceWrite(fw.variantPath(), string(v))
	if err := os.MkdirAll(fw.dir.Run, 0o700); err != nil {
		return err
	}
	return os.WriteFile(fw.variantPath(), []byte(v+"\n"), 0o600)
}
