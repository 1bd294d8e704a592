package linux

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, name := range []string{"plain", "a[b]c", "[", `back\slash`, "*", "who?"} {
		dir := filepath.Join(t.TempDir(), name)
		for _, file := range []string{"x.1", "x.2", "y"} {
			if err := os.MkdirAll(filepath.Join(dir, file), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		found, err := Glob(dir, "x.*")
		if want := []string{filepath.Join(dir, "x.1"), filepath.Join(dir, "x.2")}; err != nil || !reflect.DeepEqual(found, want) {
			t.Errorf("%s: %q, %v", name, found, err)
		}
	}
}
