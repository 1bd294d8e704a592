package spawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// perform makes the container around this process: what runtime-spec, config.md and config-linux.md
// ask for, in the order that the kernel needs.
func (b *build) perform(p *plan, socket *os.File) error {
	if err := b.enterNamespaces(); err != nil {
		return err
	}
	if err := b.nameHost(); err != nil {
		return err
	}
	root, err := b.mountAll()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := b.makeDevices(root); err != nil {
		return err
	}
	if p.Process.Cwd != "" {
		// As docker does: a working directory that the image lacks is made.
		dir, err := root.MkdirAll(p.Process.Cwd, 0o755)
		if err != nil {
			return fmt.Errorf("working directory: %w", err)
		}
		dir.Close()
	}
	if err := b.runHooks("createContainer"); err != nil {
		return err
	}
	linux.Trace("pivot_root", b.Root, b.Root)
	if err := linux.PivotRoot(b.Root); err != nil {
		return err
	}
	if p.Process.Terminal {
		if err := p.openConsole(socket, "/dev/ptmx"); err != nil {
			return err
		}
		if err := b.bindConsole(); err != nil {
			return err
		}
	}
	if err := b.protect(); err != nil {
		return err
	}
	return b.runHooks("startContainer")
}

// enterNamespaces joins the namespaces that the document gives a path for, and makes the cgroup
// namespace: only now are we in the group that shall be its root.
func (b *build) enterNamespaces() error {
	for _, ns := range b.Spec.Linux.Namespaces {
		kind, ok := namespaceFlags()[ns.Type]
		switch {
		case !ok || ns.Path == "" && ns.Type != specs.CgroupNamespace || ns.Type == specs.PIDNamespace:
			continue // made by clone(2); the pid namespace was joined by the parent
		case ns.Path == "":
			linux.Trace("unshare", "--cgroup")
			if err := linux.Unshare(kind); err != nil {
				return fmt.Errorf("make the cgroup namespace: %w", err)
			}
			continue
		}
		if err := joinPath(ns.Path, kind); err != nil {
			return fmt.Errorf("join %s namespace %s: %w", ns.Type, ns.Path, err)
		}
	}
	return nil
}

func joinPath(path string, kind int) error {
	file, err := os.Open(path)
	if err != nil {
		return errnoOf(err)
	}
	defer file.Close()
	return linux.Setns(int(file.Fd()), kind)
}

// nameHost sets the names of the UTS namespace and the sysctls of the namespaces.
func (b *build) nameHost() error {
	if b.Spec.Hostname != "" {
		linux.Trace("hostname", b.Spec.Hostname)
		if err := linux.SetHostname(b.Spec.Hostname); err != nil {
			return err
		}
	}
	if b.Spec.Domainname != "" {
		linux.Trace("domainname", b.Spec.Domainname)
		if err := linux.SetDomainname(b.Spec.Domainname); err != nil {
			return err
		}
	}
	for _, ns := range b.Spec.Linux.Namespaces {
		if ns.Type == specs.NetworkNamespace && ns.Path == "" {
			linux.Trace("ip", "link", "set", "lo", "up")
			if err := linux.LoopbackUp(); err != nil {
				return err
			}
		}
	}
	return nil
}

// protect makes the root read-only where asked, hides the masked paths and locks the read-only ones.
// We are inside by now: every path is the container's.
func (b *build) protect() error {
	for key, value := range b.Spec.Linux.Sysctl {
		path := "/proc/sys/" + strings.ReplaceAll(key, ".", "/")
		linux.TraceWrite(path, value)
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return fmt.Errorf("set sysctl %s=%s: %w", key, value, errnoOf(err))
		}
	}
	for _, path := range b.Spec.Linux.ReadonlyPaths {
		if err := lockPath(path); err != nil {
			return err
		}
	}
	for _, path := range b.Spec.Linux.MaskedPaths {
		if err := maskPath(path); err != nil {
			return err
		}
	}
	if b.Spec.Root.Readonly {
		if err := remountReadonly("/"); err != nil {
			return err
		}
	}
	return nil
}

// lockPath makes a path read-only, with what lies beneath it.
func lockPath(path string) error {
	err := linux.Mount(path, path, "", linux.MsBind|linux.MsRec, "")
	if errors.Is(err, syscall.ENOENT) {
		return nil // this kernel has none
	}
	if err != nil {
		return err
	}
	return remountReadonly(path)
}

// remountReadonly adds read-only to a mount and keeps its other flags.
func remountReadonly(path string) error {
	target, err := os.OpenFile(path, linux.OPath, 0)
	if err != nil {
		return fmt.Errorf("make %s read-only: %w", path, errnoOf(err))
	}
	defer target.Close()
	return linux.ChangeMountFlags(target, linux.MsRdonly, 0)
}

// maskPath hides a file behind /dev/null and a directory behind an empty one. The null device is
// checked to be it: an image could have put something else there.
func maskPath(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mask %s: %w", path, err)
	}
	if info.IsDir() {
		return linux.Mount("tmpfs", path, "tmpfs", linux.MsRdonly, "size=0k,nr_inodes=2")
	}
	if !linux.IsNullDevice("/dev/null") {
		return fmt.Errorf("mask %s: /dev/null is not the null device", path)
	}
	return linux.Mount("/dev/null", path, "", linux.MsBind, "")
}

// runHooks runs the hooks that belong inside: they see the container's namespaces.
func (b *build) runHooks(which string) error {
	h := b.Spec.Hooks
	if h == nil {
		return nil
	}
	hooks := h.CreateContainer
	if which == "startContainer" {
		hooks = h.StartContainer
	}
	for _, hook := range hooks {
		if err := spec.RunHook(context.Background(), hook, b.State); err != nil {
			return fmt.Errorf("%s %w", which, err)
		}
	}
	return nil
}

// namespaceFlags are the kinds of namespaces by their names in the document.
func namespaceFlags() map[specs.LinuxNamespaceType]int {
	return map[specs.LinuxNamespaceType]int{
		specs.PIDNamespace: linux.NewPID, specs.NetworkNamespace: linux.NewNet, specs.MountNamespace: linux.NewNS,
		specs.IPCNamespace: linux.NewIPC, specs.UTSNamespace: linux.NewUTS, specs.CgroupNamespace: linux.NewCgroup,
	}
}

// absolute resolves a path of the document, which starts at the bundle where it is relative.
func (b *build) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(b.Bundle, path)
}
