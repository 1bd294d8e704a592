package firewall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// variant is one of the two kernel firewalls behind iptables: nft or legacy; "" if the system does not tell. A packet passes
// both. So our rules must be in the variant whose rules drop packets, and be removed from the one that they were put in.
type variant string

const (
	variantNFT    variant = "nft"
	variantLegacy variant = "legacy"
)

// detect returns the variant that the host's administrator has chosen for the iptables command, or the other one if only
// that has rules for forwarded packets.
func detect() variant {
	path, err := FindTool("iptables-restore")
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

// busy reports whether another program has rules for forwarded packets in this variant.
func (v variant) busy() bool {
	if v == variantLegacy { // its tools create the tables that they list
		names, err := os.ReadFile("/proc/net/ip_tables_names")
		if err != nil || !strings.Contains(string(names), "filter") {
			return false
		}
	}
	path, err := FindTool("iptables-" + string(v) + "-save")
	if err != nil {
		return false
	}
	text, _ := exec.Command(path, "-t", "filter").Output() // no output means no rules
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, ":FORWARD DROP") || strings.HasPrefix(line, "-A ") && !strings.Contains(line, chainPrefix) {
			return true
		}
	}
	return false
}

// restore makes changes in one batch.
func (v variant) restore(ctx context.Context, f state.Family, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	for _, c := range changes {
		linux.Trace(append([]string{toolOf(f), "-w", "-t", c.table}, c.words...)...)
	}
	_, err := v.run(ctx, f, batch(changes), "restore", "--noflush", "-w")
	return err
}

// save returns the rules of a family.
func (v variant) save(ctx context.Context, f state.Family) (savedRules, error) {
	text, err := v.run(ctx, f, "", "save")
	return parseSaved(text), err
}

// toolOf returns the command for a family.
func toolOf(f state.Family) string {
	if f == state.IPv6 {
		return "ip6tables"
	}
	return "iptables"
}

// run runs a firewall tool and returns its output.
func (v variant) run(ctx context.Context, f state.Family, stdin, what string, args ...string) (string, error) {
	tool := toolOf(f) + "-" + what
	path, err := v.find(f, what)
	if err != nil {
		return "", err
	}
	var out, messages strings.Builder
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &messages
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C in a terminal must not kill the tool
	if err := cmd.Run(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(messages.String()), "\n")
		return "", fmt.Errorf("run %s: %s: %w", tool, first, err)
	}
	return out.String(), nil
}

// find returns the path of a firewall tool.
func (v variant) find(f state.Family, what string) (string, error) {
	if path, err := FindTool(toolOf(f) + "-" + string(v) + "-" + what); v != "" && err == nil {
		return path, nil
	}
	return FindTool(toolOf(f) + "-" + what)
}

// FindTool returns the path of a system program. It works with the PATH of an ordinary user and, as in a hook of an OCI
// runtime, without PATH.
func FindTool(name string) (string, error) {
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

// missingTool is the error for a firewall tool that is not installed.
type missingTool struct{ name string }

func (e *missingTool) Error() string { return e.name + ": program not found" }
func (e *missingTool) Unwrap() error { return fs.ErrNotExist }

// isMissingTool reports whether an error says that a firewall tool is not installed.
func isMissingTool(err error) bool {
	var missing *missingTool
	return errors.As(err, &missing)
}

// Hint says what to install.
func (e *missingTool) Hint() string {
	return "install the package iptables, or run the container with --network none or --network host"
}

// can reports whether the tools for a family are installed.
func (v variant) can(f state.Family) bool {
	_, err := v.find(f, "restore")
	return err == nil
}
