package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// Features returns the supported features of a section (runtime-spec, features-linux.md "Seccomp").
func Features() *features.Seccomp {
	yes := true
	return &features.Seccomp{
		Enabled: &yes,
		Actions: text(specs.ActAllow, specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActKillThread, specs.ActLog,
			specs.ActTrace, specs.ActTrap),
		Operators: text(specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpLessEqual, specs.OpLessThan,
			specs.OpMaskedEqual, specs.OpNotEqual),
		Archs:          text(specs.ArchAARCH64, specs.ArchARM, specs.ArchX32, specs.ArchX86, specs.ArchX86_64),
		KnownFlags:     text("SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow),
		SupportedFlags: text("SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow),
	}
}

func text[T ~string](words ...T) []string {
	list := make([]string, len(words))
	for i, word := range words {
		list[i] = string(word)
	}
	return list
}
