package cgroup

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// interpret executes a device program. It knows only the instructions that mydocker's programs use.
func interpret(t *testing.T, program []linux.Instruction, what int32, access uint32, major, minor uint32) bool {
	t.Helper()
	var r [11]uint64
	memory := map[int16]uint64{0: uint64(access)<<16 | uint64(what), 4: uint64(major), 8: uint64(minor)}
	for pc := 0; pc < len(program); pc++ {
		i := program[pc]
		dst, src := i.Registers&15, i.Registers>>4
		switch i.Code {
		case loadWord:
			r[dst] = memory[i.Offset]
		case moveReg:
			r[dst] = r[src] & 0xffffffff
		case moveImm:
			r[dst] = uint64(i.Immediate)
		case andImm:
			r[dst] &= uint64(uint32(i.Immediate))
		case shiftRightImm:
			r[dst] >>= uint(i.Immediate)
		case jumpEqual, jumpNotEqual:
			if (r[dst] == uint64(i.Immediate)) == (i.Code == jumpEqual) {
				pc += int(i.Offset)
			}
		case exit:
			return r[0] == 1
		default:
			t.Fatalf("instruction %#x", i.Code)
		}
	}
	t.Fatal("the program does not end")
	return false
}

func TestDeviceProgram(t *testing.T) {
	deny, allow := specs.LinuxDeviceCgroup{}, specs.LinuxDeviceCgroup{Allow: true}
	rule := func(allow bool, line string) specs.LinuxDeviceCgroup {
		r, err := parseDeviceRule(line)
		if err != nil {
			t.Fatal(err)
		}
		r.Allow = allow
		return r
	}
	for _, c := range []struct {
		name    string
		rules   []specs.LinuxDeviceCgroup
		allowed string // "kind access major minor", separated by commas
		denied  string
	}{
		{"none", nil, "c rw 1 3, b rwm 8 0", ""},
		{"default", DefaultDevices(), "c rw 1 3, c rwm 1 3, c m 10 229, b m 8 0, c rw 136 5", "c r 10 229, b r 8 0, c rm 10 229, c w 1 11"},
		{"one more", append(DefaultDevices(), rule(true, "c 10:229 r")), "c r 10 229", "c w 10 229, c rw 10 229, b r 10 229"},
		{"denied again", append(DefaultDevices(), rule(true, "c 10:* rw"), rule(false, "c 10:* w")), "c r 10 1", "c w 10 1"},
		{"a wider denial removes no exception", append(DefaultDevices(), rule(false, "c *:* rw")), "c rw 1 3", "c r 10 1"},
		{"bits add up", append(DefaultDevices(), rule(true, "b 8:1 r"), rule(true, "b 8:1 w")), "b rw 8 1", "b r 8 2"},
		{"all but one", []specs.LinuxDeviceCgroup{allow, rule(false, "b 8:0 w")}, "b r 8 0, c w 8 0, b w 8 1", "b w 8 0, b rw 8 0"},
		{"all, at last", []specs.LinuxDeviceCgroup{deny, rule(true, "c 1:3 r"), allow}, "c w 1 3, b r 8 0", ""},
		{"nothing", []specs.LinuxDeviceCgroup{allow, deny}, "", "c r 1 3, c m 1 1"},
	} {
		program := evaluateRules(c.rules).program()
		for list, want := range map[string]bool{c.allowed: true, c.denied: false} {
			for asked := range strings.SplitSeq(list, ", ") {
				f := strings.Fields(asked)
				if len(f) == 0 {
					continue
				}
				r := rule(true, f[0]+" "+f[2]+":"+f[3]+" "+f[1])
				kind := map[string]int32{"b": kindBlock, "c": kindChar}[f[0]]
				if got := interpret(t, program, kind, uint32(accessOf(r.Access)), uint32(*r.Major), uint32(*r.Minor)); got != want {
					t.Errorf("%s: %s is allowed: %v", c.name, asked, got)
				}
			}
		}
	}
}

// The kernel accepts the program; a new one replaces it, and programs of others stay attached.
func TestDeviceProgramInTheKernel(t *testing.T) {
	requireRoot(t)
	ts, err := hostTrees()
	if err != nil || ts.unified() == nil {
		t.Skipf("no v2 hierarchy: %v", err)
	}
	g := &Group{Path: "/mydocker-test-" + state.NewID(), trees: trees{ts.unified()}}
	t.Cleanup(func() {
		if err := g.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	})
	attached := func() (names []string) {
		dir, err := os.Open(g.trees[0].dir(g.Path))
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		programs, err := linux.DevicePrograms(dir)
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range programs {
			names = append(names, name)
			p.Close()
		}
		return names
	}
	for range 2 { // the second time it is attached already
		if _, err := g.create(&specs.LinuxResources{Devices: DefaultDevices()}); err != nil {
			t.Fatal(err)
		}
		if names := attached(); len(names) != 1 || names[0] != programName(evaluateRules(DefaultDevices()).program()) {
			t.Fatalf("attached: %v", names)
		}
	}
	dir, err := os.Open(g.trees[0].dir(g.Path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	foreign, err := linux.LoadDeviceProgram("foreign", verdicts{allow: true}.program())
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	if err := linux.AttachDeviceProgram(dir, foreign); err != nil {
		t.Fatal(err)
	}
	fuse := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: ptr[int64](1), Minor: ptr[int64](11), Access: "r"}
	if err := g.Set(&specs.LinuxResources{Devices: append(DefaultDevices(), fuse)}); err != nil {
		t.Fatal(err)
	}
	if names := attached(); len(names) != 2 {
		t.Errorf("attached: %v, want the new and the foreign program", names)
	}
	script := `echo $$ >"$2/cgroup.procs"
		mknod "$1/kmsg" c 1 11; mknod "$1/mem" c 1 1
		for d in null zero random; do head -c 0 /dev/$d || echo "denied $d"; done
		true <"$1/kmsg" && echo read; true >"$1/kmsg" || echo unwritten; true <"$1/mem" || echo closed`
	out, _ := exec.Command("sh", "-c", script, "sh", t.TempDir(), dir.Name()).CombinedOutput()
	for _, word := range []string{"read\n", "unwritten\n", "closed\n"} {
		if !bytes.Contains(out, []byte(word)) || bytes.Contains(out, []byte("denied")) {
			t.Errorf("no %sin: %s", word, out)
		}
	}
}
