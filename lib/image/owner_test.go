package image

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"
)

// TestUnpackRefusesInvalidOwners checks that owner -1 is refused: chown(2) would leave the file with owner root.
func TestUnpackRefusesInvalidOwners(t *testing.T) {
	requireRoot(t)
	for _, h := range []tar.Header{{Uid: 1<<32 - 1}, {Gid: 1<<32 - 1}, {Uid: 1 << 32}} {
		h.Name, h.Mode, h.Typeflag, h.Format = "setuid", 0o4755, tar.TypeReg, tar.FormatPAX
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := unpackInto(t, t.TempDir(), archive.Bytes()); err == nil || !strings.Contains(err.Error(), "owner") {
			t.Errorf("%d:%d: %v", h.Uid, h.Gid, err)
		}
	}
}
