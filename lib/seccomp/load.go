package seccomp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// file is a profile in docker's format (--security-opt seccomp=FILE): a section of an OCI document whose rules may have
// conditions, and whose architectures may depend on the machine's.
type file struct {
	DefaultAction    specs.LinuxSeccompAction `json:"defaultAction"`
	DefaultErrnoRet  *uint                    `json:"defaultErrnoRet"`
	Architectures    []specs.Arch             `json:"architectures"`
	Flags            []specs.LinuxSeccompFlag `json:"flags"`
	ListenerPath     string                   `json:"listenerPath"`
	ListenerMetadata string                   `json:"listenerMetadata"`
	ArchMap          []struct {
		Architecture     specs.Arch   `json:"architecture"`
		SubArchitectures []specs.Arch `json:"subArchitectures"`
	} `json:"archMap"`
	Syscalls []fileRule `json:"syscalls"`
}

type fileRule struct {
	rule
	Name    string `json:"name"` // of old files, instead of names
	Comment string `json:"comment"`
}

// maxFile bounds the size of a profile: docker's has 18 KiB.
const maxFile = 1 << 20

// LoadFile reads a profile and returns its section for a container with these capabilities in its bounding set, on this
// machine and kernel. The section compiles.
func LoadFile(path string, caps []string) (*specs.LinuxSeccomp, error) {
	f, err := linux.OpenInput(path)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	defer f.Close()
	s, err := load(f, caps)
	if err == nil {
		_, err = Compile(s)
	}
	if err != nil {
		return nil, fmt.Errorf("seccomp profile %s: %w", path, err)
	}
	return s, nil
}

func load(r io.Reader, caps []string) (*specs.LinuxSeccomp, error) {
	data, err := linux.ReadLimited(r, maxFile)
	if err != nil {
		return nil, err
	}
	var f file
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields() // an unknown field may be what denies a call
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("not a profile: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("not a profile: more than one JSON value")
	}
	return f.resolve(caps, native())
}

// resolve keeps the rules whose conditions hold.
func (f *file) resolve(caps []string, m machine) (*specs.LinuxSeccomp, error) {
	if len(f.Architectures) > 0 && len(f.ArchMap) > 0 {
		return nil, errors.New("architectures and archMap: want only one of them")
	}
	s := &specs.LinuxSeccomp{
		DefaultAction: f.DefaultAction, DefaultErrnoRet: f.DefaultErrnoRet, Architectures: f.Architectures,
		Flags: f.Flags, ListenerPath: f.ListenerPath, ListenerMetadata: f.ListenerMetadata,
	}
	for _, a := range f.ArchMap {
		if own, _ := machineOf(a.Architecture); own == m && m != nowhere {
			s.Architectures = append([]specs.Arch{a.Architecture}, a.SubArchitectures...)
		}
	}
	var bad error
	newer := func(kernel string) bool {
		yes, err := atLeast(linux.KernelRelease(), kernel)
		bad = errors.Join(bad, err)
		return yes
	}
	for i := range f.Syscalls {
		r := &f.Syscalls[i]
		if r.Name != "" {
			if len(r.Names) > 0 {
				return nil, fmt.Errorf("syscalls[%d]: name and names: want only one of them", i)
			}
			r.Names = []string{r.Name}
		}
		if r.holds(caps, m, newer) {
			s.Syscalls = append(s.Syscalls, r.LinuxSyscall)
		}
	}
	return s, bad
}

// atLeast compares the first two numbers of a kernel release, such as 6.1.0-13-amd64, with those of a version, such as
// 4.8.
func atLeast(release, version string) (bool, error) {
	want, have := strings.Split(version, "."), strings.SplitN(release, ".", 3)
	var numbers [2][2]int
	for i, parts := range [2][]string{want, have} {
		for j := range 2 {
			if len(want) != 2 || len(parts) < 2 {
				return false, fmt.Errorf("minKernel %.20q: want a version such as 4.8", version)
			}
			digits := parts[j][:len(parts[j])-len(strings.TrimLeft(parts[j], "0123456789"))]
			if i == 0 {
				digits = parts[j]
			}
			n, err := strconv.ParseUint(digits, 10, 8)
			if err != nil {
				return false, fmt.Errorf("minKernel %.20q: want a version such as 4.8", version)
			}
			numbers[i][j] = int(n)
		}
	}
	return slices.Compare(numbers[1][:], numbers[0][:]) >= 0, nil
}
