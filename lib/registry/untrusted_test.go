package registry

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/image"
)

// elsewhere is a service that the registry names. It records the logins that it receives.
type elsewhere struct {
	*httptest.Server
	mu     sync.Mutex
	stolen []string
	asked  int
}

func newElsewhere(t *testing.T, secure bool, answer http.HandlerFunc) *elsewhere {
	e := &elsewhere{}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		e.mu.Lock()
		e.asked++
		for _, secret := range []string{r.Header.Get("Authorization"), r.Form.Get("refresh_token"), r.Form.Get("password"), r.Form.Get("account")} {
			if secret != "" {
				e.stolen = append(e.stolen, r.Method+" "+r.URL.Path+": "+secret)
			}
		}
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			e.stolen = append(e.stolen, "certificate of "+r.TLS.PeerCertificates[0].Subject.CommonName)
		}
		e.mu.Unlock()
		answer(w, r)
	}))
	if secure {
		e.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		e.StartTLS()
	} else {
		e.Start()
	}
	t.Cleanup(e.Close)
	return e
}

func token(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token":"anonymous"}`) }

// certificates writes the authority of the test servers and a client certificate to a new directory.
func certificates(t *testing.T, s *httptest.Server) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "me"}, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"client.cert": {Type: "CERTIFICATE", Bytes: cert},
		"client.key":  {Type: "PRIVATE KEY", Bytes: keyDER},
		"ca.crt":      {Type: "CERTIFICATE", Bytes: s.Certificate().Raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// verified pulls from a registry with verification, as if it were not on a loopback address.
func verified(t *testing.T, host, certDir string) error {
	t.Helper()
	ref, err := image.ParseReference(host + "/library/foo:1")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newClient(context.Background(), endpoint{host: host, path: "library/foo"}, certDir)
	if err != nil {
		return err
	}
	src := &source{ref: ref, clients: []*client{c}}
	defer src.Close()
	_, err = image.Pull(context.Background(), newStore(t), src, image.PullOptions{Platform: "linux/amd64"}, func(image.Event) {})
	return err
}

// TestLoginIsBoundToOrigin checks that logins and client certificates are bound to scheme, host and port. The target of
// a redirect gets neither, nor does a realm at another origin, unless realm and registry are verified.
func TestLoginIsBoundToOrigin(t *testing.T) {
	type situation struct {
		secure bool   // both servers use verified HTTPS
		kind   string // of the login
		named  bool   // the other server has another host name, not just another port
	}
	for _, c := range []struct {
		name string
		situation
		want string // part of what the other server receives
	}{
		{"blob, basic", situation{kind: "blob"}, ""},
		{"blob, basic, https", situation{kind: "blob", secure: true}, ""},
		{"blob, bearer", situation{kind: "blob bearer"}, ""},
		{"blob, bearer, https", situation{kind: "blob bearer", secure: true}, ""},
		{"blob, another host", situation{kind: "blob", named: true}, ""},
		{"manifest", situation{kind: "manifest"}, ""},
		{"realm", situation{kind: "realm"}, ""},
		{"realm with a token", situation{kind: "realm token"}, ""},
		{"realm, https", situation{kind: "realm", secure: true}, "GET /token: Basic"},
		{"realm with a token, https", situation{kind: "realm token", secure: true}, "POST /token: secret"},
		{"realm that redirects", situation{kind: "realm redirect"}, ""},
		{"realm that redirects, https", situation{kind: "realm redirect", secure: true}, ""},
		{"realm that redirects a post, https", situation{kind: "realm redirect token", secure: true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			front := newElsewhere(t, c.secure, s.ServeHTTP)
			host := front.Listener.Addr().String()
			var other *elsewhere
			other = newElsewhere(t, c.secure, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(c.kind, "realm") {
					token(w, r)
					return
				}
				w.Header().Set("Docker-Content-Digest", filepath.Base(r.URL.Path))
				w.Write(s.blobs[s.layer]) // for any request: the pull may fail
			})
			address := other.URL
			if c.named {
				address = strings.Replace(address, "127.0.0.1", "localhost", 1)
			}
			s.fault = func(w http.ResponseWriter, r *http.Request) bool {
				realm := front.URL + "/token"
				switch {
				case r.URL.Path == "/token" && strings.Contains(c.kind, "redirect"):
					http.Redirect(w, r, address+"/token", http.StatusTemporaryRedirect)
				case r.URL.Path == "/token":
					token(w, r)
				case r.Header.Get("Authorization") == "" && strings.Contains(c.kind, "realm"):
					if !strings.Contains(c.kind, "redirect") {
						realm = address + "/token"
					}
					fallthrough
				case r.Header.Get("Authorization") == "" && strings.Contains(c.kind, "bearer"):
					w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="x"`)
					w.WriteHeader(http.StatusUnauthorized)
				case r.Header.Get("Authorization") == "":
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
					w.WriteHeader(http.StatusUnauthorized)
				case strings.HasPrefix(c.kind, "blob") && strings.Contains(r.URL.Path, "/blobs/"), c.kind == "manifest" && strings.Contains(r.URL.Path, "/manifests/"):
					http.Redirect(w, r, address+r.URL.Path, http.StatusTemporaryRedirect)
				default:
					return false
				}
				return true
			}
			login := map[string]any{"auth": "bWU6c2VjcmV0"}
			if strings.HasSuffix(c.kind, "token") {
				login = map[string]any{"identitytoken": "secret", "auth": "bWU6"}
			}
			logIn(t, host, login)
			var err error
			if c.secure {
				err = verified(t, host, certificates(t, front.Server))
			} else {
				_, err = pull(t, newStore(t), host+"/library/foo:1", Options{})
			}
			got := strings.Join(other.stolen, "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Contains(got, "certificate") {
				t.Errorf("the other service was sent %q, want %q (%v)", got, c.want, err)
			}
			if sent := strings.Join(front.stolen, "\n"); !c.secure && c.kind == "realm token" && sent != "" || c.kind != "realm token" && !strings.Contains(sent, "Basic") && !strings.Contains(sent, "Bearer") && !strings.Contains(sent, "secret") || c.secure && !strings.Contains(sent, "certificate of me") {
				t.Errorf("the registry was sent %q (%v)", sent, err)
			}
			if other.asked == 0 && !strings.Contains(c.kind, "redirect") && c.kind != "realm token" {
				t.Errorf("the other service got no request: %v", err)
			}
		})
	}
}

func TestOrigin(t *testing.T) {
	for _, group := range [][]string{
		{"https://a.example", "https://A.example:443/x?y"}, {"http://a.example", "http://a.example:80"}, {"https://a.example:80"},
		{"https://a.example:444"}, {"https://b.example"}, {"https://x.a.example"}, {"https://[::1]", "https://[::1]:443"}, {"https://[::1]:5000"},
	} {
		for _, other := range []string{"https://a.example", "http://a.example", "https://[::1]"} {
			for _, address := range group {
				x, _ := url.Parse(address)
				y, _ := url.Parse(other)
				if got, want := originOf(x) == originOf(y), group[0] == other; got != want {
					t.Errorf("%s and %s: %v", address, other, got)
				}
			}
		}
	}
}

// TestTokenRedirectIsNotFollowed checks that a redirect of a token request is not followed: the answer would be sent to
// the registry.
func TestTokenRedirectIsNotFollowed(t *testing.T) {
	s := newServer(t)
	other := newElsewhere(t, false, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"Token":"of the cloud"}`) })
	var seen []string
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		seen = append(seen, r.Header.Get("Authorization"))
		if r.URL.Path == "/token" {
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
			return true
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="/token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	_, err := pull(t, newStore(t), s.host()+"/library/foo:1", Options{})
	if err == nil || !strings.Contains(err.Error(), "get token") || !strings.Contains(err.Error(), "not followed") || other.asked > 0 || strings.Contains(strings.Join(seen, ""), "cloud") {
		t.Errorf("%v, %d requests, sent %q", err, other.asked, seen)
	}
}

func TestDowngrade(t *testing.T) {
	s := newServer(t)
	plain := newElsewhere(t, false, s.ServeHTTP)
	for _, kind := range []string{"/manifests/", "/token"} {
		front := newElsewhere(t, true, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.Contains(r.URL.Path, kind) && kind == "/manifests/", r.URL.Path == "/token":
				http.Redirect(w, r, plain.URL+r.URL.Path, http.StatusFound)
			default:
				w.Header().Set("WWW-Authenticate", `Bearer realm="/token"`)
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		if err := verified(t, front.Listener.Addr().String(), certificates(t, front.Server)); err == nil {
			t.Errorf("%s: redirect is followed", kind)
		}
	}
	if plain.asked > 0 {
		t.Errorf("asked %d times", plain.asked)
	}
}

// endless sends an endless answer, fast or slowly.
func endless(w http.ResponseWriter, begin string) {
	io.WriteString(w, begin)
	piece := []byte(strings.Repeat("x", 64<<10))
	for range 4096 {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

func trickle(w http.ResponseWriter, r *http.Request, begin string) {
	io.WriteString(w, begin)
	for r.Context().Err() == nil {
		io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		time.Sleep(10 * time.Millisecond)
	}
}

// TestEndlessAnswers checks that every answer is limited in size and time.
func TestEndlessAnswers(t *testing.T) {
	old := answerTimeout
	answerTimeout = 500 * time.Millisecond
	t.Cleanup(func() { answerTimeout = old })
	for name, c := range map[string]struct {
		path   string // of the request with the endless answer
		status int
		header string
		begin  string
		slow   string // error for a slow answer
		long   string // error for a long answer
	}{
		"token":    {path: "/token", status: 200, begin: `{"token":"`, slow: "takes longer than", long: "get token: answer is longer than 64 KiB"},
		"manifest": {path: "/manifests/", status: 200, begin: `{"schemaVersion":2,"x":"`, slow: "takes longer than", long: "answer is longer than 4096 KiB"},
		"error":    {path: "/manifests/", status: 400, slow: "answers 400", long: "answers 400 Bad Request"},
		"blob's":   {path: "/blobs/", status: 404, slow: "has no image", long: "has no image"},
		"no token": {path: "/token", status: 500, slow: "docker login", long: "docker login"},
		"login":    {path: "/v2/", status: 401, slow: "docker login", long: "docker login"},
		"redirect": {path: "/manifests/", status: 302, header: "/loop/manifests/1", slow: "", long: ""},
		"config":   {path: "/blobs/", status: 200, slow: "", long: "(descriptor)"},
	} {
		for _, kind := range []string{"slow", "long"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				if name == "config" && kind == "slow" {
					t.Skip("limited by the stall timeout: TestTransientFaults")
				}
				s := newServer(t)
				s.fault = func(w http.ResponseWriter, r *http.Request) bool {
					switch {
					case strings.Contains(r.URL.Path, c.path):
						w.Header().Set("Content-Type", s.root.MediaType)
						if c.header != "" {
							w.Header().Set("Location", c.header)
						}
						w.WriteHeader(c.status)
						if kind == "slow" {
							trickle(w, r, c.begin)
						} else {
							endless(w, c.begin)
						}
					case c.path == "/token":
						w.Header().Set("WWW-Authenticate", `Bearer realm="/token"`)
						w.WriteHeader(http.StatusUnauthorized)
					default:
						return false
					}
					return true
				}
				begun := time.Now()
				want := c.long
				if kind == "slow" {
					want = c.slow
				}
				_, err := pull(t, newStore(t), s.host()+"/library/foo:1", Options{})
				if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 600 {
					t.Errorf("got %.2000v, want %q", err, want)
				}
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}

// TestCompressedAnswer checks that compressed answers are neither requested nor decompressed.
func TestCompressedAnswer(t *testing.T) {
	s := newServer(t)
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if a := r.Header.Get("Accept-Encoding"); a != "" {
			t.Errorf("Accept-Encoding is %s", a)
		}
		w.Header().Set("Content-Encoding", "gzip")
		return false
	}
	if _, err := pull(t, newStore(t), s.host()+"/library/foo:1", Options{}); err != nil { // the server does not compress
		t.Error(err)
	}
}

func TestLongHeaders(t *testing.T) {
	s := newServer(t)
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		for i := range 1000 {
			w.Header().Add("Warning", fmt.Sprintf(`299 - "%d%s"`, i, strings.Repeat("x", 1000)))
		}
		return false
	}
	if _, err := pull(t, newStore(t), s.host()+"/library/foo:1", Options{}); err == nil || len(err.Error()) > 600 {
		t.Errorf("got %.1000v", err)
	}
}

// TestContentLength checks that a wrong Content-Length fails before the blob is fetched.
func TestContentLength(t *testing.T) {
	s := newServer(t)
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, s.layer.String()) {
			return false
		}
		w.Header().Set("Content-Length", "1099511627776")
		endless(&meter{w, s}, "")
		return true
	}
	_, err := pull(t, newStore(t), s.host()+"/library/foo:1", Options{})
	if err == nil || !strings.Contains(err.Error(), "has 1099511627776 bytes, want") {
		t.Errorf("got %v", err)
	}
}

// TestPeek checks that another repository with the layer proves it by a piece, and that one without it does not get the
// layer.
func TestPeek(t *testing.T) {
	s, store := newServer(t), newStore(t)
	if _, err := pull(t, store, s.host()+"/library/foo:1", Options{}); err != nil {
		t.Fatal(err)
	}
	has := false
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/v2/other/bar/"); ok && (has || !strings.Contains(rest, s.layer.String())) {
			r.URL.Path = "/v2/library/foo/" + rest
		}
		return false
	}
	if _, err := pull(t, store, s.host()+"/other/bar:1", Options{}); err == nil || !strings.Contains(err.Error(), "has no image") {
		t.Errorf("a repository without the layer: %v", err)
	}
	has = true
	s.served.Store(0)
	if _, err := pull(t, store, s.host()+"/other/bar:1", Options{}); err != nil || s.served.Load() != 4096 {
		t.Errorf("%v, %d bytes", err, s.served.Load())
	}
}

func TestCertificates(t *testing.T) {
	s := newServer(t)
	secure := httptest.NewUnstartedServer(s)
	secure.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	host := secure.Listener.Addr().String()
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	dir := filepath.Join(home, "containers/certs.d", host)
	try := func(what, want string) {
		t.Helper()
		err := verified(t, host, "")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", what, err, want)
		}
	}
	try("no directory", "/etc/docker/certs.d/"+host+"/ca.crt")
	os.MkdirAll(filepath.Dir(dir), 0o755)
	if err := os.Rename(certificates(t, secure), dir); err != nil {
		t.Fatal(err)
	}
	try("all", "")
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	move("client.key", "other.key")
	try("no key", filepath.Join(dir, "client.cert")+": missing client.key")
	move("client.cert", "client.bak")
	try("no certificate", filepath.Join(dir, "other.key")+": missing other.cert")
	move("other.key", "client.bak2")
	try("none of the client", "it may require a client certificate")
	move("client.bak", "client.cert")
	move("client.bak2", "client.key")
	move("ca.crt", "ca.bak")
	try("no authority", "certificate signed by unknown authority: add its certificate authority")
	for what, make := range map[string]func(path string) error{
		"garbage":   func(path string) error { return os.WriteFile(path, []byte("garbage"), 0o600) },
		"endless":   func(path string) error { return os.Symlink("/dev/zero", path) },
		"fifo":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"dangling":  func(path string) error { return os.Symlink("nowhere", path) },
	} {
		path := filepath.Join(dir, "ca.crt")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		try(what, "read certificate "+path)
		os.Remove(path)
	}
	move("ca.bak", "ca.crt")
	os.WriteFile(filepath.Join(dir, "client.key"), []byte("garbage"), 0o600)
	try("a key that is none", filepath.Join(dir, "client.cert")+": with client.key")
	// Options.CertDir replaces the default directories.
	if err := verified(t, host, certificates(t, secure)); err != nil {
		t.Error(err)
	}
	if err := verified(t, host, filepath.Join(home, "none")); err == nil {
		t.Error("missing Options.CertDir: no error")
	}
}

// TestCertificateNames checks the directory names of registries, and that none is a path.
func TestCertificateNames(t *testing.T) {
	for host, want := range map[string]string{
		"a.example": "a.example", "a.example:443": "a.example:443", "[2001:db8::1]:5000": "[2001:db8::1]:5000", "[::1]": "[::1]",
		"docker.io": "docker.io registry-1.docker.io", "..": "", ".": "", "": "", "a/../..": "", "a\x00": "",
	} {
		if got := strings.Join(hostNames(host), " "); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	os.MkdirAll(filepath.Join(home, "containers/certs.d/a.example"), 0o755)
	for _, path := range []string{"containers/ca.crt", "containers/certs.d/ca.crt", "containers/certs.d/a.example/ca.crt"} {
		os.WriteFile(filepath.Join(home, path), []byte("garbage"), 0o600)
	}
	for host, bad := range map[string]bool{"..": false, ".": false, "": false, "a.example/..": false, "a.example": true, "a.example:443": false, "b.example": false} {
		if _, err := readCertificates("", endpoint{host: host}); (err != nil) != bad {
			t.Errorf("%q: %v", host, err)
		}
	}
}
