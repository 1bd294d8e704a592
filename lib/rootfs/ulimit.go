package rootfs

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/spec"
)

// Bounds has limits outside the cgroup: resource limits, the OOM score and the size of /dev/shm.
type Bounds struct {
	Ulimit      []string     `sep:"none" help:"Set a resource limit (setrlimit(2)), e.g. --ulimit nofile=1024:4096"`
	OOMScoreAdj *int         `name:"oom-score-adj" help:"Adjust the score by which the kernel selects a process to kill when out of memory (range [-1000, 1000])"`
	ShmSize     *cgroup.Size `name:"shm-size" help:"Size of /dev/shm in bytes (default: 64m)"`
}

// bounds has the parsed options.
type bounds struct {
	limits  []specs.POSIXRlimit
	score   *int
	shmSize int64 // 0: unchanged
}

func parseBounds(o Bounds) (bounds, error) {
	b := bounds{score: o.OOMScoreAdj}
	for _, word := range o.Ulimit {
		limit, err := parseUlimit(word)
		if err != nil {
			return b, fmt.Errorf("--ulimit %.80q: %w", word, err)
		}
		b.limits = append(b.limits, limit)
	}
	if b.score != nil && (*b.score < -1000 || *b.score > 1000) {
		return b, fmt.Errorf("--oom-score-adj %d: want -1000 to 1000", *b.score)
	}
	if o.ShmSize != nil {
		if b.shmSize = int64(*o.ShmSize); b.shmSize <= 0 {
			return b, fmt.Errorf("--shm-size %d: want at least 1 byte", b.shmSize)
		}
	}
	return b, nil
}

// ulimits are the resource names of getrlimit(2), without RLIMIT_ and in lower case.
var ulimits = [...]string{"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
	"rss", "rtprio", "rttime", "sigpending", "stack"}

// parseUlimit parses NAME=SOFT[:HARD]. The values -1 and unlimited mean no limit.
func parseUlimit(word string) (specs.POSIXRlimit, error) {
	name, values, ok := strings.Cut(word, "=")
	if !ok || !slices.Contains(ulimits[:], name) {
		return specs.POSIXRlimit{}, fmt.Errorf("want NAME=SOFT[:HARD] with NAME one of %s", strings.Join(ulimits[:], ", "))
	}
	first, second, both := strings.Cut(values, ":")
	soft, err1 := ulimitValue(first)
	hard, err2 := soft, error(nil)
	if both {
		hard, err2 = ulimitValue(second)
	}
	if err := errors.Join(err1, err2); err != nil {
		return specs.POSIXRlimit{}, errors.New("want numbers, or -1 for no limit")
	}
	if soft > hard {
		return specs.POSIXRlimit{}, errors.New("soft limit exceeds hard limit")
	}
	return specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(name), Soft: soft, Hard: hard}, nil
}

func ulimitValue(word string) (uint64, error) {
	if word == "-1" || word == "unlimited" {
		return ^uint64(0), nil
	}
	return strconv.ParseUint(word, 10, 64)
}

// apply writes the limits into the document.
func (b bounds) apply(s *spec.Spec) {
	p := s.ProcessPart()
	for _, limit := range b.limits {
		p.Rlimits = slices.DeleteFunc(p.Rlimits, func(old specs.POSIXRlimit) bool { return old.Type == limit.Type })
		p.Rlimits = append(p.Rlimits, limit)
	}
	if b.score != nil {
		p.OOMScoreAdj = b.score
	}
	if b.shmSize == 0 {
		return
	}
	for i, m := range s.Mounts {
		if filepath.Clean(m.Destination) == "/dev/shm" && m.Type == "tmpfs" {
			options := slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return strings.HasPrefix(o, "size=") })
			s.Mounts[i].Options = append(options, "size="+strconv.FormatInt(b.shmSize, 10))
		}
	}
}
