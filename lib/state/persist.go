package state

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
)

// The stages write their records without waiting for the disk: a container that ends with its program does not need
// them after a crash. A container that is kept ([Dir.Kept]) does, so the process that registers it syncs all of them at
// once.

// Persist syncs what was written about container id: the records in its bundle, its claims, and the directories of
// these.
func (d Dir) Persist(id, name string) error {
	bundle := d.Bundle(id)
	records := []string{RootfsFile, NetFile, filepath.Base(d.Config(id))}
	dirs := []string{bundle, d.Containers()}
	var errs []error
	for _, record := range records {
		errs = append(errs, syncFile(filepath.Join(bundle, record)))
	}
	if CheckName("container", name) == nil {
		errs = append(errs, syncFile(filepath.Join(d.Names(), name)))
		dirs = append(dirs, d.Names())
	}
	n, err := d.ReadNet(id)
	errs = append(errs, err)
	for _, e := range n.Endpoints {
		for _, address := range []netip.Prefix{e.Address, e.Address6} {
			if address.IsValid() {
				errs = append(errs, syncFile(d.Lease(e.Network, address.Addr())))
			}
		}
		dirs = append(dirs, filepath.Dir(d.Lease(e.Network, e.Address.Addr())))
	}
	for _, dir := range dirs {
		errs = append(errs, syncFile(dir))
	}
	return errors.Join(errs...)
}

// Lease is the file with the id of the container that has an address of a network.
func (d Dir) Lease(network string, addr netip.Addr) string {
	return filepath.Join(d.Networks(), network, "leases", addr.String())
}

// syncFile waits until a file, or a directory's entries, are on the disk (fsync(2)). A missing file is not an error.
func syncFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
