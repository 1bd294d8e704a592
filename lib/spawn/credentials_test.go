package spawn

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// TestAmbientCapabilities: the kernel accepts only ambient capabilities that are permitted and inheritable.
func TestAmbientCapabilities(t *testing.T) {
	both := []string{"CAP_KILL", "CAP_CHOWN"}
	for name, tt := range map[string]struct {
		given specs.LinuxCapabilities
		want  []string
	}{
		"as in runc spec": {specs.LinuxCapabilities{Permitted: both, Ambient: both}, nil},
		"not permitted":   {specs.LinuxCapabilities{Inheritable: both, Ambient: both}, nil},
		"one is both":     {specs.LinuxCapabilities{Permitted: both, Inheritable: both[:1], Ambient: both}, both[:1]},
	} {
		sets, err := capabilitySets(&tt.given, linux.HeldCapabilities())
		want, werr := linux.ParseCapabilities(tt.want)
		if held := linux.HeldCapabilities(); err != nil || werr != nil || sets.ambient != want&held {
			t.Errorf("%s: got %#x, %v; want %#x, %v", name, sets.ambient, err, want, werr)
		}
	}
}
