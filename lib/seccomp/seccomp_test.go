package seccomp

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	docker "github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// dockerCaps are the default capabilities that the profile has rules for.
var dockerCaps = []string{"CAP_CHOWN", "CAP_SYS_CHROOT", "CAP_MKNOD"}

// capSets are the capabilities that the profile has rules for, one by one, and all.
func capSets() [][]string {
	sets := [][]string{nil, dockerCaps}
	var all []string
	for _, name := range strings.Fields("DAC_READ_SEARCH SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_PACCT SYS_PTRACE " +
		"SYS_RAWIO SYS_TIME SYS_TTY_CONFIG SYS_NICE SYSLOG BPF PERFMON") {
		sets = append(sets, []string{"CAP_" + name})
		all = append(all, "CAP_"+name)
	}
	return append(sets, all)
}

func TestDefaultIsThePublishedOne(t *testing.T) {
	for _, caps := range capSets() {
		rs := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}}
		want, err := docker.GetDefaultProfile(rs)
		if err != nil {
			t.Fatal(err)
		}
		if got := Default(caps); !reflect.DeepEqual(plain(t, got), plain(t, want)) {
			t.Errorf("%v: %s", caps, plain(t, got))
		}
		// The published file gives the same section.
		text, err := json.Marshal(docker.DefaultProfile())
		if err != nil {
			t.Fatal(err)
		}
		got, err := load(strings.NewReader(string(text)), caps)
		if err != nil {
			t.Fatal(err)
		}
		if plain(t, got) != plain(t, want) {
			t.Errorf("%v: loaded: %s", caps, plain(t, got))
		}
	}
}

func plain(t *testing.T, s *specs.LinuxSeccomp) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// numbers returns the numbers of a machine at which decisions may change, and some beyond.
func numbers(m machine) []uint32 {
	all := []uint32{1000, 0xf0000, 0xf0001, 0xf0006, 0xf0007, 0x3fffffff, 0x7fffffff, 0x80000000, 0xffffffff}
	for n := range uint32(600) {
		all = append(all, n)
	}
	if m == x86x32 {
		for i := range all {
			all[i] |= x32Bit
		}
	}
	return all
}

// compare compares a compiled section with the oracle, for all numbers of all machines.
func compare(t *testing.T, s *specs.LinuxSeccomp, native machine, args [][6]uint64) {
	t.Helper()
	f, err := compile(s, native)
	if err != nil {
		t.Fatal(err)
	}
	check(t, f.Program)
	o := newOracle(s, native)
	for m := range machines {
		for _, number := range numbers(m) {
			for _, a := range args {
				d := data{number, m.audit(), a}
				if got, want := run(t, f.Program, d), o.verdict(d); got != want {
					t.Fatalf("machine %d, call %#x, arguments %#x: %#x, want %#x\n%s", m, number, a, got, want, plain(t, s))
				}
			}
		}
	}
}

func TestDefaultOnAllNumbers(t *testing.T) {
	for _, native := range []machine{x86x64, arm64} {
		for _, caps := range [][]string{nil, dockerCaps, {"CAP_SYS_ADMIN"}} {
			s := Default(caps)
			s.Architectures = architectures(native)
			compare(t, s, native, [][6]uint64{{}, {38}, {40}, {2}, {0x10000000}, {1<<32 | 2}, {0xffffffff}})
		}
	}
}

// The guarantees of the default profile, by number, for each way into the kernel.
func TestDefaultRefuses(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the numbers are those of x86")
	}
	f, err := Compile(Default(dockerCaps))
	if err != nil {
		t.Fatal(err)
	}
	const eperm, enosys = retErrno | 1, retErrno | 38
	for _, tt := range []struct {
		call string
		args [6]uint64
		want uint32
	}{
		{"read", [6]uint64{}, retAllow}, {"execve", [6]uint64{}, retAllow}, {"chroot", [6]uint64{}, retAllow},
		{"clone3", [6]uint64{}, enosys},
		{"clone", [6]uint64{0x11}, retAllow}, {"clone", [6]uint64{0x10000011}, eperm}, {"clone", [6]uint64{0x20000}, eperm},
		{"socket", [6]uint64{2}, retAllow}, {"socket", [6]uint64{10}, retAllow}, {"socket", [6]uint64{16}, retAllow},
		{"socket", [6]uint64{38}, eperm}, {"socket", [6]uint64{40}, eperm},
		{"socket", [6]uint64{1<<32 | 38}, eperm}, {"socket", [6]uint64{1<<32 | 40}, eperm},
		{"personality", [6]uint64{0xffffffff}, retAllow}, {"personality", [6]uint64{0x40000}, eperm},
		{"io_uring_setup", [6]uint64{}, eperm}, {"io_uring_enter", [6]uint64{}, eperm}, {"io_uring_register", [6]uint64{}, eperm},
		{"keyctl", [6]uint64{}, eperm}, {"add_key", [6]uint64{}, eperm}, {"request_key", [6]uint64{}, eperm},
		{"userfaultfd", [6]uint64{}, eperm}, {"bpf", [6]uint64{}, eperm}, {"perf_event_open", [6]uint64{}, eperm},
		{"kexec_load", [6]uint64{}, eperm}, {"kexec_file_load", [6]uint64{}, eperm}, {"open_by_handle_at", [6]uint64{}, eperm},
		{"mount", [6]uint64{}, eperm}, {"umount2", [6]uint64{}, eperm}, {"setns", [6]uint64{}, eperm}, {"unshare", [6]uint64{}, eperm},
		{"pivot_root", [6]uint64{}, eperm}, {"init_module", [6]uint64{}, eperm}, {"reboot", [6]uint64{}, eperm},
		{"swapon", [6]uint64{}, eperm}, {"settimeofday", [6]uint64{}, eperm}, {"quotactl", [6]uint64{}, eperm},
	} {
		for _, m := range []machine{x86x64, i386, x86x32} {
			row, ok := rowOf(tt.call)
			if !ok {
				t.Fatalf("%s is no call", tt.call)
			}
			number := table[row].numbers[m]
			if number < 0 {
				continue
			}
			d := data{uint32(number), m.audit(), tt.args}
			if m == x86x32 {
				d.number |= x32Bit
			}
			if m.narrow() {
				d.args[0] &= 0xffffffff
			}
			if got := run(t, f.Program, d); got != tt.want && !(m.narrow() && tt.args[0] > 0xffffffff) {
				t.Errorf("%s(%#x) of machine %d: %#x, want %#x", tt.call, tt.args[0], m, got, tt.want)
			}
		}
	}
	for _, d := range []data{{335 + 40, x86x64.audit(), [6]uint64{}}, {9999, x86x64.audit(), [6]uint64{}}, {9999, i386.audit(), [6]uint64{}}, {x32Bit | 9999, x86x64.audit(), [6]uint64{}}, {x32Bit | 59, x86x64.audit(), [6]uint64{}}, {520, x86x64.audit(), [6]uint64{}}} {
		if got := run(t, f.Program, d); got != enosys {
			t.Errorf("unknown call %#x: %#x", d.number, got)
		}
	}
	if got := run(t, f.Program, data{0, arm64.audit(), [6]uint64{}}); got != retKillProcess {
		t.Errorf("another machine: %#x", got)
	}
}

// sections makes random sections that use all of the format.
func section(r *rand.Rand) *specs.LinuxSeccomp {
	actions := []specs.LinuxSeccompAction{
		specs.ActAllow, specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActKillThread, specs.ActTrap, specs.ActTrace, specs.ActLog,
	}
	operators := []specs.LinuxSeccompOperator{
		specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
	}
	values := []uint64{0, 1, 2, 3, 1 << 31, 1 << 32, 1<<32 + 1, 1<<33 - 1, 1<<64 - 1, 0xffffffff}
	pick := func(n int) int { return r.IntN(n) }
	action := func() (specs.LinuxSeccompAction, *uint) {
		a := actions[pick(len(actions))]
		if (a == specs.ActErrno || a == specs.ActTrace) && pick(2) == 0 {
			n := uint(pick(100))
			return a, &n
		}
		return a, nil
	}
	s := &specs.LinuxSeccomp{}
	s.DefaultAction, s.DefaultErrnoRet = action()
	for _, a := range append(architectures(x86x64), append(architectures(arm64), specs.ArchS390X)...) {
		if pick(2) == 0 {
			s.Architectures = append(s.Architectures, a)
		}
	}
	for range pick(60) {
		rule := specs.LinuxSyscall{Names: []string{}}
		rule.Action, rule.ErrnoRet = action()
		for range 1 + pick(8) {
			name := table[pick(len(table))].name
			if pick(8) == 0 {
				name = []string{"socketcall", "ipc", "socket", "connect", "semop", "read"}[pick(6)]
			}
			rule.Names = append(rule.Names, name)
		}
		for range pick(4) {
			rule.Args = append(rule.Args, specs.LinuxSeccompArg{
				Index: uint(pick(6)), Op: operators[pick(len(operators))], Value: values[pick(len(values))], ValueTwo: values[pick(len(values))],
			})
		}
		s.Syscalls = append(s.Syscalls, rule)
	}
	return s
}

func TestSectionsAtRandom(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		values := []uint64{0, 1, 2, 1 << 31, 1 << 32, 1<<32 + 1, 1<<64 - 1}
		var args [2][6]uint64
		for i := range args {
			for j := range args[i] {
				args[i][j] = values[r.IntN(len(values))]
			}
		}
		compare(t, section(r), []machine{x86x64, arm64}[seed%2], args[:])
	}
}

// A filter with one test for each call has jumps of all lengths.
func TestLongPrograms(t *testing.T) {
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: architectures(x86x64)}
	for i, c := range table {
		errno := uint(i)
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{c.name}, Action: specs.ActErrno, ErrnoRet: &errno})
		if i%4 == 0 {
			s.Syscalls[i].Args = []specs.LinuxSeccompArg{{Index: 1, Value: 7, Op: specs.OpEqualTo}}
		}
	}
	compare(t, s, x86x64, [][6]uint64{{}, {0, 7}})
	s.Syscalls = nil
	for i := range 3000 {
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{
			Names: []string{"read"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Value: uint64(i), Op: specs.OpEqualTo}},
		})
	}
	if _, err := Compile(s); err == nil || !strings.Contains(err.Error(), "instructions: the kernel allows 4096") {
		t.Errorf("a section that is too long: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct{ section, want string }{
		{`{"defaultAction": "SCMP_ACT_PRAY"}`, `default action "SCMP_ACT_PRAY": no such action`},
		{`{"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1}`, "takes no errnoRet"},
		{`{"defaultAction": "SCMP_ACT_NOTIFY"}`, "SCMP_ACT_NOTIFY: not supported"},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5000}`, "errnoRet 5000: out of range"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]}`, `architecture "SCMP_ARCH_Z80": no such`},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_FAST"]}`, "no such flag"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x"}`, "listenerPath: "},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]}`, "syscalls[0]: no system call is named"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["raed"], "action": "SCMP_ACT_ERRNO"}]}`, `call "raed": unknown`},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]}`, "SCMP_ACT_NOTIFY: not supported"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}`, "argument 6"},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 0, "op": "=="}]}]}`, `operator "=="`},
		{`{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["of_the_future"], "action": "SCMP_ACT_ALLOW"}]}`, ""},
		{`{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]}`, ""},
	} {
		var s specs.LinuxSeccomp
		if err := json.Unmarshal([]byte(tt.section), &s); err != nil {
			t.Fatal(err)
		}
		f, err := Compile(&s)
		if text := fmt.Sprint(err); tt.want == "" && err != nil || tt.want != "" && !strings.Contains(text, tt.want) {
			t.Errorf("%s: %v, want %q", tt.section, err, tt.want)
		}
		if err == nil && len(s.Flags) == 3 && f.Flags != linux.SeccompLog|linux.SeccompTSync|linux.SeccompSpecAllow {
			t.Errorf("flags %#x", f.Flags)
		}
	}
}

func TestLoad(t *testing.T) {
	const rest = `"defaultAction": "SCMP_ACT_ALLOW"`
	for _, tt := range []struct{ file, want string }{
		{`{` + rest + `}`, ""},
		{`{` + rest + `} x`, "more than one JSON value"},
		{`[`, "not a profile"},
		{`{` + rest + `, "sycalls": []}`, `unknown field "sycalls"`},
		{`{` + rest + `, "architectures": ["SCMP_ARCH_X86_64"], "archMap": [{}]}`, "want only one of them"},
		{`{` + rest + `, "syscalls": [{"name": "read", "names": ["write"], "action": "SCMP_ACT_ERRNO"}]}`, "want only one of them"},
		{`{` + rest + `, "syscalls": [{"names": ["write"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "new"}}]}`, `minKernel "new"`},
		{`{` + rest + `, "syscalls": [{"name": "read", "action": "SCMP_ACT_ERRNO", "comment": "x", "excludes": {"minKernel": "99.0"}}]}`, ""},
	} {
		if _, err := load(strings.NewReader(tt.file), nil); tt.want == "" && err != nil || tt.want != "" && !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("%s: %v, want %q", tt.file, err, tt.want)
		}
	}
	if _, err := load(strings.NewReader(`"`+strings.Repeat("x", maxFile)), nil); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a long file: %v", err)
	}
}

func TestAtLeast(t *testing.T) {
	for _, tt := range []struct {
		release, version string
		want             bool
	}{
		{"6.1.0-13-amd64", "4.8", true}, {"4.8", "4.8", true}, {"4.7.9", "4.8", false}, {"5.12-rc5", "5.12", true}, {"3.12.25-gentoo", "4.0", false},
	} {
		if got, err := atLeast(tt.release, tt.version); err != nil || got != tt.want {
			t.Errorf("%s at least %s: %v %v", tt.release, tt.version, got, err)
		}
	}
}

func TestTableIsSorted(t *testing.T) {
	if !slices.IsSortedFunc(table[:], func(a, b call) int { return strings.Compare(a.name, b.name) }) {
		t.Error("the table is not sorted by name")
	}
	for m := range machines {
		if !slices.IsSortedFunc(order[m], func(a, b int16) int { return int(table[a].numbers[m] - table[b].numbers[m]) }) {
			t.Errorf("the numbers of machine %d are not sorted", m)
		}
	}
}

// FuzzLoad loads any profile: what compiles means what the oracle says.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read", "socket"], "action": "SCMP_ACT_ALLOW"}]}`), uint32(0), uint64(0))
	f.Add([]byte(`{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}], `+
		`"syscalls": [{"name": "connect", "action": "SCMP_ACT_KILL", "includes": {"minKernel": "4.8"}, "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_MASKED_EQ"}]}]}`),
		uint32(102), uint64(3))
	f.Fuzz(func(t *testing.T, file []byte, number uint32, arg uint64) {
		s, err := load(strings.NewReader(string(file)), dockerCaps)
		if err != nil {
			return
		}
		filter, err := Compile(s)
		if err != nil {
			return
		}
		check(t, filter.Program)
		o := newOracle(s, native())
		for _, m := range native().family() {
			d := data{number, m.audit(), [6]uint64{arg, arg, arg, arg, arg, arg}}
			if got, want := run(t, filter.Program, d), o.verdict(d); got != want {
				t.Errorf("machine %d, call %#x(%#x): %#x, want %#x", m, number, arg, got, want)
			}
		}
	})
}

// The features that are listed compile.
func TestFeatures(t *testing.T) {
	f := Features()
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	for _, name := range f.SupportedFlags {
		s.Flags = append(s.Flags, specs.LinuxSeccompFlag(name))
	}
	for _, name := range f.Archs {
		if m, _ := machineOf(specs.Arch(name)); m == nowhere {
			t.Errorf("%s is no machine of ours", name)
		}
	}
	for i, action := range f.Actions {
		op := specs.LinuxSeccompOperator(f.Operators[i%len(f.Operators)])
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{
			Names: []string{table[i].name}, Action: specs.LinuxSeccompAction(action), Args: []specs.LinuxSeccompArg{{Op: op}},
		})
	}
	if _, err := Compile(s); err != nil {
		t.Error(err)
	}
}
