package cgroup

import (
	"fmt"
	"hash/fnv"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// v2 has no files for devices: a BPF program decides about each open and each mknod (cgroup-v2.rst, "Device
// controller"). This file compiles the rules of v1's files into such a program, with the same result.

// Access and kind in the program's context (bpf.h: BPF_DEVCG_ACC_* and BPF_DEVCG_DEV_*).
const (
	accessMknod, accessRead, accessWrite = 1, 2, 4
	accessAll                            = accessMknod | accessRead | accessWrite
	kindBlock, kindChar                  = 1, 2
)

// exception is access to a device, or to all devices of one major or minor number, that is decided against the
// default.
type exception struct {
	kind         int32
	major, minor int64 // -1: any
	access       int32
}

// verdicts is the effect of a list of rules: a default for all devices, and its exceptions.
type verdicts struct {
	allow      bool
	exceptions []exception
}

// evaluateRules applies rules in order, as v1's devices.allow and devices.deny do (cgroup-v1/devices.rst). A new
// cgroup allows all devices.
func evaluateRules(rules []specs.LinuxDeviceCgroup) verdicts {
	v := verdicts{allow: true}
	for _, rule := range rules {
		if rule.Type == "" || rule.Type == "a" {
			v = verdicts{allow: rule.Allow}
			continue
		}
		e := exception{kind: kindBlock, major: numberOrAny(rule.Major), minor: numberOrAny(rule.Minor), access: accessOf(rule.Access)}
		if rule.Type == "c" {
			e.kind = kindChar
		}
		if rule.Allow == v.allow {
			v.remove(e)
		} else {
			v.add(e)
		}
	}
	return v
}

func (v *verdicts) add(e exception) {
	for i := range v.exceptions {
		if old := &v.exceptions[i]; old.kind == e.kind && old.major == e.major && old.minor == e.minor {
			old.access |= e.access
			return
		}
	}
	v.exceptions = append(v.exceptions, e)
}

// remove clears access in the exception with exactly these numbers. Wider and narrower exceptions stay, as in v1.
func (v *verdicts) remove(e exception) {
	left := v.exceptions[:0]
	for _, old := range v.exceptions {
		if old.kind == e.kind && old.major == e.major && old.minor == e.minor {
			old.access &^= e.access
		}
		if old.access != 0 {
			left = append(left, old)
		}
	}
	v.exceptions = left
}

func numberOrAny(n *int64) int64 {
	if n == nil || *n < 0 {
		return -1
	}
	return *n
}

func accessOf(letters string) (access int32) {
	if letters == "" {
		return accessAll
	}
	for letter, bit := range map[rune]int32{'m': accessMknod, 'r': accessRead, 'w': accessWrite} {
		if strings.ContainsRune(letters, letter) {
			access |= bit
		}
	}
	return access
}

// The instructions that the program uses (bpf, instruction-set.rst), and its registers.
const (
	loadWord, moveReg, moveImm = 0x61, 0xbc, 0xb7 // dst = *(u32 *)(src + offset), dst = src, dst = immediate
	andImm, shiftRightImm      = 0x54, 0x74
	jumpEqual, jumpNotEqual    = 0x15, 0x55
	exit                       = 0x95

	regResult, regContext, regAccess, regKind, regMajor, regMinor = 0, 1, 2, 3, 4, 5
)

// program compiles the verdicts. The program receives a struct bpf_cgroup_dev_ctx, whose first word has the
// kind in its low 16 bits and the access in its high ones, and returns 1 to allow.
func (v verdicts) program() []linux.Instruction {
	op := func(code, dst, src uint8, offset int16, immediate int32) linux.Instruction {
		return linux.Instruction{Code: code, Registers: dst | src<<4, Offset: offset, Immediate: immediate}
	}
	answer := func(yes bool) []linux.Instruction {
		n := int32(0)
		if yes {
			n = 1
		}
		return []linux.Instruction{op(moveImm, regResult, 0, 0, n), op(exit, 0, 0, 0, 0)}
	}
	p := []linux.Instruction{
		op(loadWord, regAccess, regContext, 0, 0), op(moveReg, regKind, regAccess, 0, 0),
		op(andImm, regKind, 0, 0, 0xffff), op(shiftRightImm, regAccess, 0, 0, 16),
		op(loadWord, regMajor, regContext, 4, 0), op(loadWord, regMinor, regContext, 8, 0),
	}
	for _, e := range v.exceptions {
		// A test that fails jumps to the next exception, past this one's two instructions of answer.
		tests := []linux.Instruction{op(jumpNotEqual, regKind, 0, 0, e.kind)}
		if e.major >= 0 {
			tests = append(tests, op(jumpNotEqual, regMajor, 0, 0, int32(e.major)))
		}
		if e.minor >= 0 {
			tests = append(tests, op(jumpNotEqual, regMinor, 0, 0, int32(e.minor)))
		}
		switch {
		case v.allow: // deny if any requested bit is an exception
			tests = append(tests, op(moveReg, regContext, regAccess, 0, 0), op(andImm, regContext, 0, 0, e.access), op(jumpEqual, regContext, 0, 0, 0))
		case e.access != accessAll: // allow if all requested bits are exceptions
			tests = append(tests, op(moveReg, regContext, regAccess, 0, 0), op(andImm, regContext, 0, 0, accessAll&^e.access), op(jumpNotEqual, regContext, 0, 0, 0))
		}
		for i := range tests {
			if code := tests[i].Code; code == jumpEqual || code == jumpNotEqual {
				tests[i].Offset = int16(len(tests) - i - 1 + 2)
			}
		}
		p = append(append(p, tests...), answer(!v.allow)...)
	}
	return append(p, answer(v.allow)...)
}

// programPrefix begins the names of mydocker's programs; a digest of the instructions follows.
const programPrefix = "md"

func programName(program []linux.Instruction) string {
	digest := fnv.New64a()
	for _, i := range program {
		fmt.Fprintln(digest, i.Code, i.Registers, i.Offset, i.Immediate)
	}
	return fmt.Sprintf("%s%012x", programPrefix, digest.Sum64()>>16)
}

// attachDevices attaches a program to the cgroup and detaches the one of an earlier call. If the same
// program is attached already, it does nothing.
func attachDevices(dir string, program []linux.Instruction) error {
	name := programName(program)
	group, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer group.Close()
	present, err := linux.DevicePrograms(group)
	if err != nil {
		return err
	}
	defer func() {
		for _, p := range present {
			p.Close()
		}
	}()
	if present[name] != nil {
		return nil
	}
	linux.Trace("bpftool", "cgroup", "attach", dir, "cgroup_device", "name", name, "multi")
	loaded, err := linux.LoadDeviceProgram(name, program)
	if err != nil {
		return err
	}
	defer loaded.Close()
	if err := linux.AttachDeviceProgram(group, loaded); err != nil {
		return err
	}
	for old, p := range present {
		if strings.HasPrefix(old, programPrefix) {
			if err := linux.DetachDeviceProgram(group, p); err != nil {
				return err
			}
		}
	}
	return nil
}
