package registry

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/image"
)

// FuzzAnswers pulls from a registry with arbitrary headers, tokens and manifests. The pull must end, send the login only
// to the registry, and return a short error.
func FuzzAnswers(f *testing.F) {
	f.Add(401, `Bearer realm="/token",service="x",scope="repository:library/foo:pull"`, "", "", `{"token":"x","expires_in":-1}`)
	f.Add(307, "", "http://127.0.0.2:1/x", "0", `{"schemaVersion":2}`)
	f.Add(206, `Basic realm="x", Bearer`, "//[::1", "bytes 0-1/2", "")
	f.Add(308, "", "%zz"+strings.Repeat("x", 3000), "", "") // net/http quotes it
	s := newServer(f)
	f.Fuzz(func(t *testing.T, status int, challenge, location, ranges, body string) {
		if status < 200 || status > 599 {
			t.Skip("not a final HTTP status")
		}
		s.fault = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/token") {
				w.Write([]byte(body))
				return true
			}
			if r.Header.Get("Authorization") != "" {
				return false
			}
			for name, value := range map[string]string{"WWW-Authenticate": challenge, "Location": location, "Content-Range": ranges} {
				if value != "" {
					w.Header().Set(name, value)
				}
			}
			w.WriteHeader(status)
			w.Write([]byte(body))
			return true
		}
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		ref, err := image.ParseReference(s.host() + "/library/foo:1")
		if err != nil {
			t.Fatal(err)
		}
		src, err := Open(ctx, ref, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		_, _, err = src.Root(ctx)
		if err != nil && (len(err.Error()) > 1000 || err.Error() == "") {
			t.Errorf("error has %d bytes", len(err.Error()))
		}
	})
}

// FuzzCertificateName checks that no registry name yields a directory name that is a path.
func FuzzCertificateName(f *testing.F) {
	f.Add("a.example:5000")
	f.Add("../x")
	f.Fuzz(func(t *testing.T, host string) {
		for _, name := range hostNames(host) {
			if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
				t.Errorf("%q: %q is not a file name", host, name)
			}
		}
	})
}
