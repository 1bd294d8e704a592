package state

import (
	"strings"
	"testing"
)

func TestFromEnv(t *testing.T) {
	tests := []struct {
		root, run string
		want      Dir
		ok        bool
	}{
		{"", "", Dir{"/var/lib/mydocker", "/run/mydocker"}, true},
		{"/a/../b/", "", Dir{"/b", "/run/mydocker"}, true},
		{"/a", "/c", Dir{"/a", "/c"}, true},
		{"a", "", Dir{}, false},
		{"", "./c", Dir{}, false},
	}
	for _, tt := range tests {
		t.Setenv(EnvRoot, tt.root)
		t.Setenv(EnvRun, tt.run)
		got, err := FromEnv()
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%+v: %+v, %v", tt, got, err)
		}
		if err != nil {
			continue
		}
		for _, pair := range got.Env() { // another tool must select the same directory
			name, value, _ := strings.Cut(pair, "=")
			t.Setenv(name, value)
		}
		if again, err := FromEnv(); again != got || err != nil {
			t.Errorf("%+v: passed on: %+v, %v", tt, again, err)
		}
	}
}
