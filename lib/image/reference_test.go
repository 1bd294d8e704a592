package image

import (
	"errors"
	"strings"
	"testing"

	"github.com/distribution/reference"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParseReference(t *testing.T) {
	for _, c := range []struct{ in, domain, path, familiar string }{
		{"mysql", "docker.io", "library/mysql", "mysql:latest"},
		{"mysql:5.7.25", "docker.io", "library/mysql", "mysql:5.7.25"},
		{"docker.io/mysql:5.7.25", "docker.io", "library/mysql", "mysql:5.7.25"},
		{"index.docker.io/library/mysql", "docker.io", "library/mysql", "mysql:latest"},
		{"bitnami/mysql", "docker.io", "bitnami/mysql", "bitnami/mysql:latest"},
		{"library/a/b", "docker.io", "library/a/b", "library/a/b:latest"},
		{"localhost/foo", "localhost", "foo", "localhost/foo:latest"},
		{"127.0.0.1:5000/foo:1", "127.0.0.1:5000", "foo", "127.0.0.1:5000/foo:1"},
		{"[::1]:5000/foo:1", "[::1]:5000", "foo", "[::1]:5000/foo:1"},
		{"ghcr.io/a/b/c__d-e--f.g", "ghcr.io", "a/b/c__d-e--f.g", "ghcr.io/a/b/c__d-e--f.g:latest"},
		{"mysql@" + someDigest, "docker.io", "library/mysql", "mysql@" + someDigest},
		{"mysql:5.7@" + someDigest, "docker.io", "library/mysql", "mysql@" + someDigest},
	} {
		ref, err := ParseReference(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
		} else if ref.Domain != c.domain || ref.Path != c.path || ref.String() != c.familiar {
			t.Errorf("%s: got %+v, %s", c.in, ref, ref)
		}
	}
	for _, in := range []string{"", ":", ":tag", "Mysql", "mysql:", "mysql:.x", "a//b", "a/", "/a", "../a", "a/../b", "a_-b", "a___b",
		"mysql@sha256:12", "mysql@md5:e3b0c44298fc1c149afbf4c8996fb924", "x@", "a b", "a\nb", "-a.b/c", "a.b:x/c", someDigest[7:],
		strings.Repeat("a", 256), "a:" + strings.Repeat("t", 129), "foo.com/", "mysql@sha256:../../../../x"} {
		if ref, err := ParseReference(in); err == nil {
			t.Errorf("%q: got %+v, want an error", in, ref)
		} else if strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q: error %q with control bytes", in, err)
		}
	}
}

// FuzzParseReference compares our grammar with that of distribution/reference.
func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"mysql", "a.b:5000/c/d:e@" + someDigest, "[::1]:5/x", "Localhost/x", "a__b-c/d", "docker.io/library/x:1", strings.Repeat("0", 240),
		"docker.io/0.0/0", "0_0.0/0", "docker.io/localhost/x", "docker.io/" + strings.Repeat("a", 64), strings.Repeat("a", 64) + ":x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ours, err := ParseReference(s)
		named, theirErr := reference.ParseNormalizedNamed(s)
		if theirErr == nil && reference.Domain(named) == "" { // an invalid registry became part of the path
			theirErr = errors.New("no registry")
		}
		if (err == nil) != (theirErr == nil) {
			if err != nil && strings.Contains(s, "@") {
				return // other digest algorithms, which we refuse
			}
			t.Fatalf("%q: ours %v, theirs %v", s, err, theirErr)
		}
		if err != nil {
			return
		}
		if ours.Domain != reference.Domain(named) || ours.Path != reference.Path(named) {
			t.Fatalf("%q: ours %+v, theirs %v", s, ours, named)
		}
		// Not all of their familiar names parse to the same reference.
		familiar := reference.FamiliarName(named)
		if meant, err := reference.ParseNormalizedNamed(familiar); err != nil || meant.Name() != named.Name() {
			familiar = named.Name()
		}
		if ours.Repo() != familiar {
			t.Fatalf("%q: ours %s, theirs %s", s, ours.Repo(), familiar)
		}
		again, err := ParseReference(ours.String())
		if err != nil || again != ours {
			t.Fatalf("%q: %v becomes %v, %v", s, ours, again, err)
		}
	})
}

// TestNameOf checks that an image with several names is called by the name that the user gave.
func TestNameOf(t *testing.T) {
	img := &Image{ID: "22997ad7f03c"}
	if got := img.NameOf("bb"); got != img.ID {
		t.Errorf("without names: %s, want the id", got)
	}
	for _, name := range []string{"bb", "busybox:1.35"} {
		ref, err := ParseReference(name)
		if err != nil {
			t.Fatal(err)
		}
		img.References = append(img.References, ref)
	}
	for arg, want := range map[string]string{
		"bb": "bb:latest", "bb:latest": "bb:latest", "docker.io/library/busybox:1.35": "busybox:1.35",
		"22997ad7f03c": "bb:latest", "other": "bb:latest", "": "bb:latest",
	} {
		if got := img.NameOf(arg); got != want {
			t.Errorf("%q: %s, want %s", arg, got, want)
		}
	}
}
