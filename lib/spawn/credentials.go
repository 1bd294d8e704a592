package spawn

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// traceCredentials records the equivalent setpriv(1) command.
func (s *plan) traceCredentials(proc *specs.Process) {
	if !linux.Tracing() {
		return
	}
	u := proc.User
	words := []string{"setpriv", fmt.Sprintf("--reuid=%d", u.UID), fmt.Sprintf("--regid=%d", u.GID)}
	if len(u.AdditionalGids) == 0 {
		words = append(words, "--clear-groups")
	} else {
		words = append(words, "--groups="+strings.Trim(strings.ReplaceAll(fmt.Sprint(u.AdditionalGids), " ", ","), "[]"))
	}
	if c := proc.Capabilities; c != nil {
		bounding := "-all"
		for _, name := range c.Bounding {
			bounding += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
		}
		words = append(words, "--inh-caps=-all", "--bounding-set="+bounding)
	}
	if proc.NoNewPrivileges {
		words = append(words, "--no-new-privs")
	}
	s.shell(append(words, proc.Args...)...)
}

type capSets struct{ bounding, effective, permitted, inheritable, ambient linux.Capabilities }

// capabilitySets returns the five sets of the document, without the capabilities that this process does not hold.
func capabilitySets(c *specs.LinuxCapabilities, held linux.Capabilities) (capSets, error) {
	var sets capSets
	if c == nil {
		return sets, nil
	}
	for _, part := range []struct {
		names []string
		set   *linux.Capabilities
	}{
		{c.Bounding, &sets.bounding}, {c.Effective, &sets.effective}, {c.Permitted, &sets.permitted},
		{c.Inheritable, &sets.inheritable}, {c.Ambient, &sets.ambient},
	} {
		set, err := linux.ParseCapabilities(part.names)
		if err != nil {
			return sets, err
		}
		*part.set = set & held
	}
	// The kernel limits the ambient set to these two (capabilities(7)). Documents, such as those of `runc spec`, ask
	// for more.
	sets.ambient &= sets.permitted & sets.inheritable
	return sets, nil
}
