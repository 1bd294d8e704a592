package seccomp

import (
	"runtime"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// machine is one set of numbers of system calls: a column of the table.
type machine int

const (
	x86x64 machine = iota
	i386
	x86x32
	arm64
	arm
	machines
	nowhere machine = -1
)

// call is a row of the table. Calls of unknown machines are in it without numbers, so that they do not count as
// misspelt.
type call struct {
	name    string
	numbers [machines]int32
}

// x32Bit marks the numbers of x32, which shares the audit architecture of x86-64 (asm/unistd.h, __X32_SYSCALL_BIT).
const x32Bit = 0x40000000

// The kernel's names of the machines (linux/audit.h, AUDIT_ARCH_).
func (m machine) audit() uint32 {
	return [machines]uint32{0xc000003e, 0x40000003, 0xc000003e, 0xc00000b7, 0x40000028}[m]
}

// narrow reports whether arguments have 32 bits. x32 compares all 64, as x86-64 does.
func (m machine) narrow() bool { return m == i386 || m == arm }

// family lists the machines whose programs a kernel can run.
func (m machine) family() []machine {
	switch m {
	case x86x64:
		return []machine{x86x64, i386, x86x32}
	case arm64:
		return []machine{arm64, arm}
	}
	return nil
}

// machineOf returns the machine of an architecture of the specification, or nowhere if this program does not run on it;
// known says whether the specification has the name.
func machineOf(arch specs.Arch) (m machine, known bool) {
	switch arch {
	case specs.ArchX86_64:
		return x86x64, true
	case specs.ArchX86:
		return i386, true
	case specs.ArchX32:
		return x86x32, true
	case specs.ArchAARCH64:
		return arm64, true
	case specs.ArchARM:
		return arm, true
	case specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64,
		specs.ArchMIPSEL64N32, specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390, specs.ArchS390X,
		specs.ArchPARISC, specs.ArchPARISC64, specs.ArchRISCV64, specs.ArchLOONGARCH64, specs.ArchM68K,
		specs.ArchSH, specs.ArchSHEB:
		return nowhere, true
	}
	return nowhere, false
}

// native is the machine that this program was built for.
func native() machine {
	switch runtime.GOARCH {
	case "amd64":
		return x86x64
	case "arm64":
		return arm64
	}
	return nowhere
}

// rowAfter is rowOf for the names of a list: it is quicker if the list is sorted.
func rowAfter(last int, name string) (int, bool) {
	for row := last + 1; row < min(last+6, len(table)); row++ {
		if table[row].name == name {
			return row, true
		}
	}
	return rowOf(name)
}

// rowOf finds the row of a call in the table.
func rowOf(name string) (int, bool) {
	return slices.BinarySearchFunc(table[:], name, func(c call, name string) int { return strings.Compare(c.name, name) })
}
