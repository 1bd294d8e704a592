package registry

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/state"
)

// server is an in-process registry with one image, library/foo:1.
type server struct {
	*httptest.Server
	root  v1.Descriptor
	blobs map[digest.Digest][]byte
	layer digest.Digest

	mu       sync.Mutex
	requests []string
	served   atomic.Int64 // bytes of the layer
	// fault may answer instead of the registry; it reports whether it did.
	fault func(w http.ResponseWriter, r *http.Request) bool
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{blobs: make(map[digest.Digest][]byte)}
	add := func(mediaType string, data []byte) v1.Descriptor {
		d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		s.blobs[d.Digest] = data
		return d
	}
	addJSON := func(mediaType string, v any) v1.Descriptor {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return add(mediaType, data)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(content)), Uid: os.Geteuid(), Gid: os.Getegid()})
	w.Write(content)
	w.Close()
	layer := add(v1.MediaTypeImageLayer, b.Bytes())
	s.layer = layer.Digest
	config := addJSON(v1.MediaTypeImageConfig, v1.Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}}})
	s.root = addJSON(v1.MediaTypeImageManifest, v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: config, Layers: []v1.Descriptor{layer}})
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	// Ignore the configuration of this machine.
	t.Setenv(EnvConfig, filepath.Join(t.TempDir(), "registries.conf"))
	os.WriteFile(os.Getenv(EnvConfig), nil, 0o600)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	shorten(t)
	return s
}

func (s *server) host() string { return s.Listener.Addr().String() }

// ServeHTTP implements the pull part of the distribution-spec.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	if s.fault != nil && s.fault(w, r) {
		return
	}
	_, name, _ := strings.Cut(r.URL.Path, "/v2/library/foo/")
	kind, ref, _ := strings.Cut(name, "/")
	d := digest.Digest(ref)
	if kind == "manifests" && ref == "1" {
		d = s.root.Digest
	}
	data, ok := s.blobs[d]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"\u001b[31mevil"}]}`)
		return
	}
	if kind == "manifests" {
		w.Header().Set("Content-Type", s.root.MediaType)
	}
	w.Header().Set("Docker-Content-Digest", d.String())
	if d == s.layer {
		w = &meter{w, s}
	}
	http.ServeContent(w, r, "", testTime, bytes.NewReader(data))
}

// meter counts the bytes of the layer that are served.
type meter struct {
	http.ResponseWriter
	*server
}

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.ResponseWriter.Write(b)
	m.served.Add(int64(n))
	return n, err
}

func (s *server) count(what string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if strings.Contains(r, what) {
			n++
		}
	}
	return n
}

// layerFault returns a fault for the first n requests for the layer.
func (s *server) layerFault(n int, fault func(w http.ResponseWriter, data []byte)) {
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, s.layer.String()) || s.count(s.layer.String()) > n {
			return false
		}
		fault(&meter{w, s}, s.blobs[s.layer])
		return true
	}
}

func newStore(t testing.TB) *image.Store {
	dir := t.TempDir()
	return image.Open(state.Dir{Root: filepath.Join(dir, "root"), Run: filepath.Join(dir, "run")})
}

func pull(t *testing.T, store *image.Store, name string, opts Options) (*image.Result, error) {
	t.Helper()
	ref, err := image.ParseReference(name)
	if err != nil {
		t.Fatal(err)
	}
	return pullUntil(context.Background(), store, ref, opts)
}

func pullUntil(ctx context.Context, store *image.Store, ref image.Reference, opts Options) (*image.Result, error) {
	src, err := Open(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	return image.Pull(ctx, store, src, image.PullOptions{Platform: "linux/amd64"}, func(image.Event) {})
}

func TestPull(t *testing.T) {
	s, store := newServer(t), newStore(t)
	name := s.host() + "/library/foo:1"
	r, err := pull(t, store, name, Options{})
	if err != nil || !r.New || r.Image.Name() != name || r.Image.Digest != s.root.Digest {
		t.Fatalf("%v %+v", err, r)
	}
	if info, err := os.Stat(filepath.Join(r.Image.LayerDirs()[0], "file")); err != nil || info.Size() != 1<<20 {
		t.Errorf("%v %v", info, err)
	}
	s.requests = nil
	if r, err := pull(t, store, name, Options{}); err != nil || r.New || s.count("blobs") != 0 || s.count("manifests") != 1 {
		t.Errorf("again: %v %+v %q", err, r, s.requests)
	}
	if r, err := pull(t, store, s.host()+"/library/foo@"+s.root.Digest.String(), Options{}); err != nil || !r.New {
		t.Errorf("by digest: %v", err)
	}
}

func TestErrors(t *testing.T) {
	status := func(code int) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(code)
			io.WriteString(w, "<html>\x1b[31m\nlong")
			return true
		}
	}
	for name, c := range map[string]struct {
		image string
		fault func(w http.ResponseWriter, r *http.Request) bool
		want  string
	}{
		"tag":       {image: "library/foo:2", want: "has no image library/foo with tag 2"},
		"image":     {image: "bar:1", want: "has no image bar with tag 1"},
		"digest":    {image: "library/foo@sha256:" + strings.Repeat("0", 64), want: "has no image library/foo with content sha256:000"},
		"login":     {image: "library/foo:1", fault: status(401), want: "docker login"},
		"forbidden": {image: "library/foo:1", fault: status(403), want: "docker login"},
		"rate":      {image: "library/foo:1", fault: status(429), want: "too many requests"},
		"down":      {image: "library/foo:1", fault: status(503), want: "answers 503 Service Unavailable"},
		"no manifest": {image: "library/foo:1", fault: func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", v1.MediaTypeImageManifest)
			io.WriteString(w, "<html>\x1b[31m")
			return true
		}, want: "registry 127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.fault = c.fault
			_, err := pull(t, newStore(t), s.host()+"/"+c.image, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "long") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	s := newServer(t)
	host := s.host()
	s.Close()
	if _, err := pull(t, newStore(t), host+"/foo:1", Options{}); err == nil || !strings.Contains(err.Error(), "cannot be reached: dial tcp "+host) {
		t.Errorf("closed port: %v", err)
	}
}

// logIn writes a login file as docker login does.
func logIn(t *testing.T, host string, login map[string]any) {
	writeLogins(t, map[string]any{"auths": map[string]any{host: login}})
}

func writeLogins(t *testing.T, config map[string]any) {
	t.Helper()
	data, err := json.Marshal(config)
	if err == nil {
		err = os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestLogin(t *testing.T) {
	for _, kind := range []string{"file", "helper"} {
		t.Run(kind, func(t *testing.T) {
			s := newServer(t)
			s.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if user, pass, _ := r.BasicAuth(); user == "me" && pass == "secret" {
					return false
				}
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			name := s.host() + "/library/foo:1"
			if _, err := pull(t, newStore(t), name, Options{}); err == nil || !strings.Contains(err.Error(), "docker login "+s.host()) {
				t.Errorf("without a login: %v", err)
			}
			logIn(t, s.host(), map[string]any{"auth": base64.StdEncoding.EncodeToString([]byte("me:secret"))})
			if kind == "helper" {
				writeLogins(t, map[string]any{"credHelpers": map[string]string{s.host(): "test"}})
				bin := t.TempDir()
				script := "#!/bin/sh\necho '{\"Username\":\"me\",\"Secret\":\"secret\"}'\n"
				if err := os.WriteFile(filepath.Join(bin, "docker-credential-test"), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
				t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			}
			if _, err := pull(t, newStore(t), name, Options{}); err != nil {
				t.Errorf("with a login: %v", err)
			}
		})
	}
}

func TestMirror(t *testing.T) {
	s, store := newServer(t), newStore(t)
	os.WriteFile(os.Getenv(EnvConfig), []byte(fmt.Sprintf(`
[[registry]]
prefix = "docker.io"
location = "127.0.0.1:1"
[[registry.mirror]]
location = "127.0.0.1:2"
[[registry.mirror]]
location = %q
`, s.host())), 0o600)
	r, err := pull(t, store, "foo:1", Options{})
	if err != nil || r.Image.Name() != "foo:1" {
		t.Fatalf("%v %+v", err, r)
	}
	_, err = pull(t, store, "foo:2", Options{})
	if err == nil || !strings.Contains(err.Error(), s.host()+" has no image") || !strings.Contains(err.Error(), "127.0.0.1:1 cannot be reached") {
		t.Errorf("error must name all endpoints: %v", err)
	}
}

func TestTLS(t *testing.T) {
	s := newServer(t)
	secure := httptest.NewTLSServer(s)
	defer secure.Close()
	// Loopback addresses do not need --insecure, with or without TLS.
	if _, err := pull(t, newStore(t), secure.Listener.Addr().String()+"/library/foo:1", Options{}); err != nil {
		t.Error(err)
	}
}
