package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// installRules puts a network's rules in place, whatever is there of them. It costs two processes, once
// for each time that the bridge is made.
func installRules(ctx context.Context, link string, subnet netip.Prefix) error {
	saved, err := saveRules(ctx)
	if err != nil {
		return err
	}
	return restoreRules(ctx, saved.install(link, subnet))
}

// uninstallRules deletes all rules of a network or container, whatever is there of them.
func uninstallRules(ctx context.Context, tag string) error {
	saved, err := saveRules(ctx)
	var missing *missingTool
	if errors.As(err, &missing) {
		return nil // no tools, no rules
	}
	if err != nil {
		return err
	}
	return restoreRules(ctx, saved.uninstall(tag))
}

// restoreRules makes changes in one batch.
func restoreRules(ctx context.Context, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	for _, c := range changes {
		linux.Trace(append([]string{"iptables", "-w", "-t", c.table}, c.words...)...)
	}
	_, err := runFirewall(ctx, batch(changes), "iptables-restore", "--noflush", "-w")
	return err
}

func saveRules(ctx context.Context) (savedRules, error) {
	text, err := runFirewall(ctx, "", "iptables-save")
	return parseSaved(text), err
}

// runFirewall runs a tool of the firewall and returns its output.
func runFirewall(ctx context.Context, stdin, tool string, args ...string) (string, error) {
	path, err := findTool(tool)
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
