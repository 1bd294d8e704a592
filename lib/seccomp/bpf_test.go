package seccomp

import (
	"testing"

	"github.com/weikeit/mydocker/lib/linux"
)

// data is the input of a filter (struct seccomp_data, without the instruction pointer).
type data struct {
	number  uint32
	machine uint32
	args    [6]uint64
}

// run interprets a program as the kernel does, and fails on what the kernel's check refuses (net/core/filter.c,
// bpf_check_classic; kernel/seccomp.c, seccomp_check_filter).
func run(t *testing.T, program []linux.BPFInstruction, d data) uint32 {
	t.Helper()
	var a uint32
	for pc := 0; pc < len(program); {
		i := program[pc]
		pc++
		yes := false
		switch i.Code {
		case loadWord:
			switch {
			case i.K == offsetNumber:
				a = d.number
			case i.K == offsetMachine:
				a = d.machine
			case i.K >= offsetArgs && i.K < 64 && i.K%4 == 0:
				a = uint32(d.args[(i.K-offsetArgs)/8] >> (8 * (i.K % 8)))
			default:
				t.Fatalf("load of %d", i.K)
			}
			continue
		case and:
			a &= i.K
			continue
		case jump:
			pc += int(i.K)
			continue
		case ret:
			return i.K
		case jumpEqual:
			yes = a == i.K
		case jumpAbove:
			yes = a > i.K
		case jumpAtOver:
			yes = a >= i.K
		default:
			t.Fatalf("instruction %#x", i.Code)
		}
		if yes {
			pc += int(i.Jt)
		} else {
			pc += int(i.Jf)
		}
	}
	t.Fatal("the program has no return")
	return 0
}

// check checks a program by the kernel's rules: jumps stay inside, and the last instruction returns.
func check(t *testing.T, program []linux.BPFInstruction) {
	t.Helper()
	if len(program) == 0 || len(program) > maxProgram {
		t.Fatalf("%d instructions", len(program))
	}
	for pc, i := range program {
		left := len(program) - pc - 1
		switch i.Code {
		case jump:
			if int(i.K) >= left {
				t.Fatalf("%d: jump by %d, %d are left", pc, i.K, left)
			}
		case jumpEqual, jumpAbove, jumpAtOver:
			if int(i.Jt) >= left || int(i.Jf) >= left {
				t.Fatalf("%d: jump by %d or %d, %d are left", pc, i.Jt, i.Jf, left)
			}
		}
	}
	if program[len(program)-1].Code != ret {
		t.Fatal("the last instruction does not return")
	}
}
