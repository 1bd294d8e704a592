package state

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
)

// What the tools write about a container is on the disk when [Dir.Kept] says that it stays, and not before:
// one that goes with its program has nothing that is worth the wait. So the stages write without
// waiting, and who registers a container that is kept makes up for all of them at once.

// Persist puts on the disk what is written about container id: the records in its bundle, its claims, and the
// names of all these.
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

// Lease is the file that holds the id of the container that has an address of a network.
func (d Dir) Lease(network string, addr netip.Addr) string {
	return filepath.Join(d.Networks(), network, "leases", addr.String())
}

// syncFile waits until a file, or the names in a directory, are on the disk (fsync(2)). What is not there
// was not made.
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
