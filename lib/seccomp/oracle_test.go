package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// oracle decides what a section means for one call. It follows the package comment, and shares only the table with the
// compiler.
type oracle struct {
	section  *specs.LinuxSeccomp
	native   machine
	fallback uint32
	rules    map[string][]specs.LinuxSyscall
	names    [machines]map[uint32]string
	highest  [machines]int64 // the highest number that the section names, -1 for none
}

func newOracle(s *specs.LinuxSeccomp, native machine) *oracle {
	o := &oracle{section: s, native: native, fallback: must(verdict(s.DefaultAction, s.DefaultErrnoRet)), rules: map[string][]specs.LinuxSyscall{}}
	for m := range machines {
		o.names[m], o.highest[m] = map[uint32]string{}, -1
	}
	for _, c := range table {
		o.rules[c.name] = rulesOf(s, c.name, o.fallback)
		for m, number := range c.numbers {
			if number >= 0 {
				o.names[m][uint32(number)] = c.name
				if len(o.rules[c.name]) > 0 {
					o.highest[m] = max(o.highest[m], int64(number))
				}
			}
		}
	}
	return o
}

func (o *oracle) verdict(d data) uint32 {
	m, number := o.machine(d), d.number
	if m == nowhere {
		return retKillProcess
	}
	if m == x86x32 {
		number -= x32Bit
	}
	name, known := o.names[m][number]
	if !permissive(o.fallback) && o.highest[m] >= 0 {
		if int64(number) > o.highest[m] || !known && o.fallback&0xffff0000 == retErrno {
			return retErrno | 38
		}
	}
	for _, r := range o.rules[name] {
		if len(r.Args) == 0 {
			return must(verdict(r.Action, r.ErrnoRet))
		}
	}
	for _, r := range o.rules[name] {
		if matches(r.Args, m, d.args) {
			return must(verdict(r.Action, r.ErrnoRet))
		}
	}
	return o.fallback
}

// machine returns the machine of a call, nowhere if it is not listed.
func (o *oracle) machine(d data) machine {
	for _, m := range o.native.family() {
		if m.audit() != d.machine || (m == x86x32) != (d.machine == x86x64.audit() && d.number >= x32Bit) {
			continue
		}
		listed := func(a specs.Arch) bool { other, _ := machineOf(a); return other == m }
		if m == o.native || slices.ContainsFunc(o.section.Architectures, listed) {
			return m
		}
	}
	return nowhere
}

// rulesOf returns the rules of a section about a call that differ from the default, with the companions.
func rulesOf(s *specs.LinuxSeccomp, name string, fallback uint32) []specs.LinuxSyscall {
	var rules []specs.LinuxSyscall
	for _, r := range s.Syscalls {
		if must(verdict(r.Action, r.ErrnoRet)) != fallback && slices.Contains(r.Names, name) {
			rules = append(rules, r)
		}
	}
	calls := map[string][]string{"socketcall": socketCalls, "ipc": ipcCalls}[name]
	for i, call := range calls {
		if call == "" {
			continue
		}
		direct := rulesOf(s, call, fallback)
		pick := slices.IndexFunc(direct, func(r specs.LinuxSyscall) bool { return len(r.Args) == 0 })
		if pick < 0 {
			pick = slices.IndexFunc(direct, func(r specs.LinuxSyscall) bool { return !permissive(must(verdict(r.Action, r.ErrnoRet))) })
		}
		if pick >= 0 {
			r := direct[pick]
			r.Args = []specs.LinuxSeccompArg{{Value: uint64(i), Op: specs.OpEqualTo}}
			rules = append(rules, r)
		}
	}
	return rules
}

func matches(args []specs.LinuxSeccompArg, m machine, values [6]uint64) bool {
	seen, apart, all, some := map[uint]bool{}, false, true, false
	for _, a := range args {
		apart = apart || seen[a.Index]
		seen[a.Index] = true
		one := compares(a, m, values[a.Index])
		all, some = all && one, some || one
	}
	if apart {
		return some
	}
	return all
}

func compares(a specs.LinuxSeccompArg, m machine, value uint64) bool {
	first, second := a.Value, a.ValueTwo
	if m.narrow() {
		first, second, value = first&0xffffffff, second&0xffffffff, value&0xffffffff
	}
	switch a.Op {
	case specs.OpNotEqual:
		return value != first
	case specs.OpLessThan:
		return value < first
	case specs.OpLessEqual:
		return value <= first
	case specs.OpEqualTo:
		return value == first
	case specs.OpGreaterEqual:
		return value >= first
	case specs.OpGreaterThan:
		return value > first
	}
	return value&first == second
}

func must(ret uint32, err error) uint32 {
	if err != nil {
		panic(err)
	}
	return ret
}
