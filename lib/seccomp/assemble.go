package seccomp

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// Instructions of classic BPF (linux/filter.h), and the offsets of their input (struct seccomp_data).
const (
	loadWord   = 0x20 // accumulator = word at k
	and        = 0x54 // accumulator &= k
	jump       = 0x05
	jumpEqual  = 0x15
	jumpAbove  = 0x25
	jumpAtOver = 0x35 // jump if greater or equal
	ret        = 0x06

	offsetNumber  = 0
	offsetMachine = 4
	offsetArgs    = 16 // 8 bytes each, the low word first

	maxProgram = 4096 // BPF_MAXINSNS
	farthest   = 255  // the range of a conditional jump
)

// assembler writes a program from its end to its beginning: jumps only go forward, so their targets exist already.
type assembler struct{ code []linux.BPFInstruction }

// label is an instruction, counted from the end of the program.
type label int

func (a *assembler) put(code uint16, k uint32, jt, jf uint8) label {
	a.code = append(a.code, linux.BPFInstruction{Code: code, Jt: jt, Jf: jf, K: k})
	return label(len(a.code) - 1)
}

func (a *assembler) distance(to label) int { return len(a.code) - 1 - int(to) }

// ret returns a label that returns a verdict: a near one, or a new one.
func (a *assembler) ret(value uint32) label {
	for i := len(a.code) - 1; i >= 0 && i > len(a.code)-farthest/2; i-- {
		if a.code[i].Code == ret && a.code[i].K == value {
			return label(i)
		}
	}
	return a.put(ret, value, 0, 0)
}

// near returns a label within the range of a conditional jump that is equivalent to the given one.
func (a *assembler) near(to label) label {
	if a.distance(to) < farthest { // less: the other arm may need an instruction too
		return to
	}
	if a.code[to].Code == ret {
		return a.put(ret, a.code[to].K, 0, 0)
	}
	return a.put(jump, uint32(a.distance(to)), 0, 0)
}

// branch adds a conditional jump that compares the accumulator with k.
func (a *assembler) branch(code uint16, k uint32, yes, no label) label {
	if yes == no {
		return yes
	}
	yes = a.near(yes)
	no = a.near(no)
	return a.put(code, k, uint8(a.distance(yes)), uint8(a.distance(no)))
}

// load adds a load of the accumulator before a label.
func (a *assembler) load(offset uint32, to label) label {
	if a.distance(to) != 0 {
		a.put(jump, uint32(a.distance(to)), 0, 0)
	}
	return a.put(loadWord, offset, 0, 0)
}

// assemble makes the program: it dispatches by the machine, then by the call's number in a binary tree, then by the
// arguments.
func (p *policy) assemble(in [machines]bool, native machine) ([]linux.BPFInstruction, error) {
	a := &assembler{code: make([]linux.BPFInstruction, 0, 1024)}
	next := a.ret(retKillProcess)
	for _, m := range slices.Backward(native.family()) {
		if m == x86x32 || !in[m] {
			continue // x32 is in the tree of x86-64
		}
		spans := p.spans(nil, m, 0)
		if m == x86x64 {
			if in[x86x32] {
				spans = p.spans(spans, x86x32, x32Bit)
			} else {
				spans = append(spans, span{x32Bit, leaf{retKillProcess, -1}})
			}
		}
		tree := a.load(offsetNumber, p.tree(a, m, spans))
		next = a.branch(jumpEqual, m.audit(), tree, next)
	}
	a.load(offsetMachine, next)
	if len(a.code) > maxProgram {
		return nil, fmt.Errorf("the filter has %d instructions: the kernel allows %d", len(a.code), maxProgram)
	}
	slices.Reverse(a.code)
	return a.code, nil
}

// span is a range of numbers with the same leaf, up to the next span.
type span struct {
	from uint32
	leaf leaf
}

// leaf is the decision on a call: a verdict, or the tests of a row of the table.
type leaf struct {
	ret uint32
	row int // -1 for none
}

// spans appends the decisions on all numbers of a machine; base is added to the numbers.
func (p *policy) spans(spans []span, m machine, base uint32) []span {
	highest := int32(-1) // the highest number that the document names
	for _, row := range slices.Backward(order[m]) {
		if d := &p.calls[row]; d.always || d.tests != nil {
			highest = table[row].numbers[m]
			break
		}
	}
	missing := p.fallback // for numbers that no call has
	unknown := p.fallback // for numbers beyond highest
	if !permissive(p.fallback) && highest >= 0 {
		unknown = retErrno | uint32(enosys)
		if p.fallback&0xffff0000 == retErrno {
			missing = unknown
		}
	}
	add := func(from uint32, l leaf) {
		if n := len(spans); n == 0 || spans[n-1].leaf != l || from == base {
			spans = append(spans, span{from, l})
		}
	}
	next := base // the first number without a span
	for _, row := range order[m] {
		number := base + uint32(table[row].numbers[m])
		if table[row].numbers[m] > highest {
			break
		}
		if number > next {
			add(next, leaf{missing, -1})
		}
		add(number, p.leaf(int(row)))
		next = number + 1
	}
	add(next, leaf{unknown, -1})
	return spans
}

func (p *policy) leaf(row int) leaf {
	switch d := &p.calls[row]; {
	case d.always:
		return leaf{d.ret, -1}
	case d.tests != nil:
		return leaf{p.fallback, row}
	}
	return leaf{p.fallback, -1}
}

// tree adds a binary search for the span of the number in the accumulator.
func (p *policy) tree(a *assembler, m machine, spans []span) label {
	if len(spans) == 1 {
		if l := spans[0].leaf; l.row < 0 {
			return a.ret(l.ret)
		}
		return p.tests(a, m, spans[0].leaf)
	}
	half := len(spans) / 2
	above := p.tree(a, m, spans[half:])
	below := p.tree(a, m, spans[:half])
	return a.branch(jumpAtOver, spans[half].from, above, below)
}

// tests adds the rules of a call, one after the other.
func (p *policy) tests(a *assembler, m machine, l leaf) label {
	next := a.ret(l.ret)
	for _, t := range slices.Backward(p.calls[l.row].tests) {
		yes := a.ret(t.ret)
		for _, c := range slices.Backward(t.conditions) {
			yes = a.condition(m, c, yes, next)
		}
		next = yes
	}
	return next
}

// condition compares an argument with a value of 64 bits, the high word first if there is one.
func (a *assembler) condition(m machine, c specs.LinuxSeccompArg, yes, no label) label {
	value, mask := c.Value, ^uint64(0)
	code := uint16(jumpEqual)
	switch c.Op {
	case specs.OpNotEqual:
		yes, no = no, yes
	case specs.OpMaskedEqual:
		mask, value = c.Value, c.ValueTwo
	case specs.OpGreaterThan:
		code = jumpAbove
	case specs.OpLessEqual:
		code, yes, no = jumpAbove, no, yes
	case specs.OpGreaterEqual:
		code = jumpAtOver
	case specs.OpLessThan:
		code, yes, no = jumpAtOver, no, yes
	}
	low := offsetArgs + 8*uint32(c.Index)
	at := a.masked(low, uint32(mask), a.branch(code, uint32(value), yes, no))
	if m.narrow() {
		return at
	}
	at = a.branch(jumpEqual, uint32(value>>32), at, no)
	if code != jumpEqual {
		at = a.branch(jumpAbove, uint32(value>>32), yes, at)
	}
	return a.masked(low+4, uint32(mask>>32), at)
}

func (a *assembler) masked(offset, mask uint32, to label) label {
	if mask != ^uint32(0) {
		if a.distance(to) != 0 {
			a.put(jump, uint32(a.distance(to)), 0, 0)
		}
		to = a.put(and, mask, 0, 0)
	}
	return a.load(offset, to)
}
