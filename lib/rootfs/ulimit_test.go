package rootfs

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/spec"
)

func TestBounds(t *testing.T) {
	size, score := cgroup.Size(1<<20), -5
	b, err := parseBounds(Bounds{Ulimit: []string{"nofile=10:20", "core=0", "nofile=30:-1"}, OOMScoreAdj: &score, ShmSize: &size})
	if err != nil {
		t.Fatal(err)
	}
	s := spec.New("0123456789ab")
	s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 1, Hard: 1}, {Type: "RLIMIT_CPU", Soft: 9, Hard: 9}}
	b.apply(s)
	want := []specs.POSIXRlimit{
		{Type: "RLIMIT_CPU", Soft: 9, Hard: 9}, {Type: "RLIMIT_CORE"}, {Type: "RLIMIT_NOFILE", Soft: 30, Hard: ^uint64(0)},
	}
	if !slices.Equal(s.Process.Rlimits, want) || *s.Process.OOMScoreAdj != -5 {
		t.Errorf("%+v, %d", s.Process.Rlimits, *s.Process.OOMScoreAdj)
	}
	for _, m := range s.Mounts {
		if m.Destination == "/dev/shm" && (!slices.Contains(m.Options, "size=1048576") || slices.Contains(m.Options, "size=64m")) {
			t.Errorf("/dev/shm: %v", m.Options)
		}
	}
	zero, far := cgroup.Size(0), 1001
	for want, o := range map[string]Bounds{
		"want NAME=SOFT[:HARD]": {Ulimit: []string{"files=1"}}, "want numbers": {Ulimit: []string{"nofile=x"}},
		"exceeds hard limit": {Ulimit: []string{"nofile=2:1"}}, "-1000 to 1000": {OOMScoreAdj: &far}, "1 byte": {ShmSize: &zero},
	} {
		if _, err := parseBounds(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
