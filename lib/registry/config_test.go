package registry

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/image"
)

var testTime = time.Unix(1500000000, 0)

func TestEndpoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registries.conf")
	err := os.WriteFile(path, []byte(`
unqualified-search-registries = ["quay.io"]
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "10.0.0.1:5000/hub"
insecure = true
[[registry.mirror]]
location = "mirror.example/digests"
pull-from-mirror = "digest-only"
[[registry]]
prefix = "docker.io/library/only"
location = "own.example/only"
[[registry]]
prefix = "*.corp.example"
location = ""
insecure = true
[[registry]]
prefix = "evil.example"
blocked = true
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(EnvConfig, path)
	c, err := readConfig()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"mysql:5.7.25": "[{10.0.0.1:5000 hub/library/mysql true} {docker.io library/mysql false}]",
		"mysql@sha256:" + strings.Repeat("0", 64): "[{10.0.0.1:5000 hub/library/mysql true} {mirror.example digests/library/mysql false} {docker.io library/mysql false}]",
		"only":                "[{own.example only false}]",
		"only/x":              "[{10.0.0.1:5000 hub/only/x true} {docker.io only/x false}]",
		"onlyx":               "[{10.0.0.1:5000 hub/library/onlyx true} {docker.io library/onlyx false}]",
		"a.corp.example/x":    "[{a.corp.example x true}]",
		"corp.example/x":      "[{corp.example x false}]",
		"ghcr.io/a/b":         "[{ghcr.io a/b false}]",
		"127.0.0.1:5000/a":    "[{127.0.0.1:5000 a true}]",
		"[::1]:5000/a":        "[{[::1]:5000 a true}]",
		"localhost/a":         "[{localhost a true}]",
		"evil.example/x":      "blocked",
		"evil.example.org/x":  "[{evil.example.org x false}]",
		"docker.io.example/x": "[{docker.io.example x false}]",
	} {
		ref, err := image.ParseReference(name)
		if err != nil {
			t.Fatal(err)
		}
		list, err := c.endpoints(ref, false)
		got := fmt.Sprint(list)
		if err != nil {
			got = err.Error()
		}
		if got != want && !(want == "blocked" && strings.Contains(got, want)) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestReadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registries.conf")
	t.Setenv(EnvConfig, path)
	if _, err := readConfig(); err == nil {
		t.Error("missing file in EnvConfig: no error")
	}
	os.WriteFile(path, []byte("[[registry"), 0o600)
	if _, err := readConfig(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}
