package image

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

func TestSplitDestination(t *testing.T) {
	for to, want := range map[string][3]string{
		"-":                        {"-", "", ""},
		"ocidir:a/b":               {"ocidir:", "a/b", ""},
		"ocidir:a/b:1.0":           {"ocidir:", "a/b", "1.0"},
		"docker-archive:d:me/x:2":  {"docker-archive:", "d", "me/x:2"},
		"oci-archive:x.tar:latest": {"oci-archive:", "x.tar", "latest"},
		"oci-archive:":             {},
		"tar:x":                    {},
		"":                         {},
	} {
		scheme, file, name := splitDestination(to)
		if got := [3]string{scheme, file, name}; got != want {
			t.Errorf("splitDestination(%q) = %q, want %q", to, got, want)
		}
	}
}

// TestExportRoundTrip exports from one store and pulls into another, and compares name and digest.
func TestExportRoundTrip(t *testing.T) {
	requireRoot(t)
	ctx, top, from := context.Background(), t.TempDir(), newStore(t)
	layer := tarOf(dir("etc"), file("etc/motd", "hi"))
	was := mustPull(t, from, newFake(t, "origin:1", v1.MediaTypeImageLayerGzip, layer, layer)).Image
	for _, to := range []string{"ocidir:" + top + "/layout", "oci-archive:" + top + "/o.tar", "docker-archive:" + top + "/d.tar"} {
		if err := from.Export(ctx, "origin:1", to, nil); err != nil {
			t.Fatalf("%s: %v", to, err)
		}
		store := newStore(t)
		src, err := store.OpenSource(ctx, to, nil)
		if err != nil {
			t.Fatalf("%s: %v", to, err)
		}
		result, err := Pull(ctx, store, src, PullOptions{}, func(Event) {})
		src.Close()
		if err != nil {
			t.Fatalf("%s: %v", to, err)
		}
		if result.Image.ConfigDigest != was.ConfigDigest || result.Image.Name() != "origin:1" {
			t.Errorf("%s: pulled as %s %s", to, result.Image.Name(), result.Image.ConfigDigest)
		}
	}
	var out bytes.Buffer
	if err := from.Export(ctx, was.ID, "-", &out); err != nil || out.Len() == 0 {
		t.Errorf("to stdout: %d bytes, %v", out.Len(), err)
	}
	if err := from.Export(ctx, "origin:1", "oci-archive:"+top+"/none/x", nil); err == nil {
		t.Error("missing directory: no error")
	}
	if left, _ := filepath.Glob(top + "/" + state.TempPrefix + "*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if _, err := os.Stat(top + "/layout/index.json"); err != nil {
		t.Error(err)
	}
}

// A command that locks the store removes what killed writers left there, and nothing of a writer that lives.
func TestUnnamedBesideLocks(t *testing.T) {
	s := newStore(t)
	if err := os.MkdirAll(s.dir.Images(), 0o700); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			unlock, err := s.Lock()
			if err != nil {
				done <- err
				return
			}
			unlock()
		}
	}()
	for range 300 {
		file, err := s.unnamed()
		if err != nil {
			t.Error(err)
			break
		}
		file.Close()
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
