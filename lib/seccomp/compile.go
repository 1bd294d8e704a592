package seccomp

import (
	"errors"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// Filter is a compiled section, as seccomp(2) takes it.
type Filter struct {
	Program []linux.BPFInstruction
	Flags   uintptr
}

// Compile compiles a section of a document into a filter for this machine. The error names what is not supported:
// nothing is ignored.
func Compile(s *specs.LinuxSeccomp) (*Filter, error) {
	m := native()
	if m == nowhere {
		return nil, errors.New("linux.seccomp: not supported on this architecture")
	}
	f, err := compile(s, m)
	if err != nil {
		return nil, fmt.Errorf("linux.seccomp: %w", err)
	}
	return f, nil
}

func compile(s *specs.LinuxSeccomp, native machine) (*Filter, error) {
	p := &policy{}
	f := &Filter{}
	var err error
	if f.Flags, err = flags(s.Flags); err != nil {
		return nil, err
	}
	if s.ListenerPath != "" || s.ListenerMetadata != "" {
		return nil, errors.New("listenerPath: SCMP_ACT_NOTIFY and its listener are not supported")
	}
	if p.fallback, err = supported(s.DefaultAction, s.DefaultErrnoRet); err != nil {
		return nil, fmt.Errorf("default %w", err)
	}
	for i := range s.Syscalls {
		if err := p.add(&s.Syscalls[i]); err != nil {
			return nil, fmt.Errorf("syscalls[%d]: %w", i, err)
		}
	}
	p.companions()
	listed, err := listed(s.Architectures, native)
	if err != nil {
		return nil, err
	}
	f.Program, err = p.assemble(listed, native)
	return f, err
}

// listed returns the machines of the native family that the document lists, always with the native one.
func listed(names []specs.Arch, native machine) (in [machines]bool, err error) {
	in[native] = true
	for _, name := range names {
		m, known := machineOf(name)
		if !known {
			return in, fmt.Errorf("architecture %.40q: no such architecture", name)
		}
		if m != nowhere {
			in[m] = true
		}
	}
	return in, nil
}

func flags(names []specs.LinuxSeccompFlag) (uintptr, error) {
	var bits uintptr
	for _, name := range names {
		switch name {
		case "SECCOMP_FILTER_FLAG_TSYNC":
			bits |= linux.SeccompTSync
		case specs.LinuxSeccompFlagLog:
			bits |= linux.SeccompLog
		case specs.LinuxSeccompFlagSpecAllow:
			bits |= linux.SeccompSpecAllow
		case specs.LinuxSeccompFlagWaitKillableRecv:
			return 0, fmt.Errorf("flag %s: needs SCMP_ACT_NOTIFY, which is not supported", name)
		default:
			return 0, fmt.Errorf("flag %.60q: no such flag", name)
		}
	}
	return bits, nil
}

// supported is verdict, without the actions that need a listener.
func supported(action specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	ret, err := verdict(action, errno)
	if err == nil && ret == retNotify {
		err = fmt.Errorf("action %s: not supported", action)
	}
	return ret, err
}

// policy is the decision of a section on each call.
type policy struct {
	fallback uint32 // returned for calls without a rule
	calls    [len(table)]decision
}

// decision is what the rules say of one call: the verdict of a rule without arguments, or else the tests of the others.
type decision struct {
	always bool
	ret    uint32
	tests  []test
}

// test is one rule with arguments: all conditions must hold.
type test struct {
	conditions []specs.LinuxSeccompArg
	ret        uint32
}

// add adds a rule.
func (p *policy) add(s *specs.LinuxSyscall) error {
	ret, err := supported(s.Action, s.ErrnoRet)
	if err != nil {
		return err
	}
	if len(s.Names) == 0 {
		return errors.New("no system call is named")
	}
	tests, err := conditions(s.Args, ret)
	if err != nil {
		return err
	}
	row, ok := -1, false
	for _, name := range s.Names {
		row, ok = rowAfter(row, name)
		if !ok {
			// A profile may name calls that the table lacks. They are refused as unknown numbers, so only a rule that
			// would deny one of them is an error.
			if permissive(p.fallback) && !permissive(ret) {
				return fmt.Errorf("call %.60q: unknown system call", name)
			}
			continue
		}
		if ret != p.fallback {
			p.calls[row].add(ret, tests)
		}
	}
	return nil
}

func (d *decision) add(ret uint32, tests []test) {
	switch {
	case d.always:
	case tests == nil:
		d.always, d.ret = true, ret
	default:
		d.tests = append(d.tests, tests...)
	}
}

// companions extends the rules to the numbers of socketcall(2) and ipc(2) that mean the same calls.
func (p *policy) companions() {
	for mux, calls := range map[string][]string{"socketcall": socketCalls, "ipc": ipcCalls} {
		muxRow, _ := rowOf(mux)
		d := &p.calls[muxRow]
		for number := 0; number < len(calls) && !d.always; number++ {
			row, ok := rowOf(calls[number])
			if !ok {
				continue
			}
			is := []specs.LinuxSeccompArg{{Value: uint64(number), Op: specs.OpEqualTo}}
			if direct := p.calls[row]; direct.always {
				d.add(direct.ret, []test{{is, direct.ret}})
			} else if i := slices.IndexFunc(direct.tests, func(t test) bool { return !permissive(t.ret) }); i >= 0 {
				d.add(direct.tests[i].ret, []test{{is, direct.tests[i].ret}})
			}
		}
	}
}

// The calls of socketcall(2) and ipc(2), by number (linux/net.h, linux/ipc.h).
var socketCalls = []string{
	1: "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv", "sendto",
	"recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg",
}

var ipcCalls = []string{
	1: "semop", "semget", "semctl", "semtimedop", 11: "msgsnd", "msgrcv", "msgget", "msgctl", 21: "shmat", "shmdt", "shmget", "shmctl",
}

// conditions returns the tests of a rule's arguments, nil without arguments.
func conditions(args []specs.LinuxSeccompArg, ret uint32) ([]test, error) {
	var seen [6]bool
	apart := false
	for i := range args {
		switch args[i].Op {
		case specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual,
			specs.OpGreaterThan, specs.OpMaskedEqual:
		default:
			return nil, fmt.Errorf("operator %.40q: no such operator", args[i].Op)
		}
		if args[i].Index >= uint(len(seen)) {
			return nil, fmt.Errorf("argument %d: want 0 to 5", args[i].Index)
		}
		apart = apart || seen[args[i].Index]
		seen[args[i].Index] = true
	}
	switch {
	case len(args) == 0:
		return nil, nil
	case !apart:
		return []test{{conditions: args, ret: ret}}, nil
	}
	tests := make([]test, len(args))
	for i := range args {
		tests[i] = test{conditions: args[i : i+1], ret: ret}
	}
	return tests, nil
}
