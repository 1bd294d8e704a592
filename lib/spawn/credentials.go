package spawn

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// traceCredentials notes the change as setpriv(1) does it.
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

// capabilitySets reads the five sets of the document. What we do not hold ourselves cannot be given:
// it is left out, as on a kernel that does not know it.
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
	// The kernel has none ambient that is not both of these (capabilities(7)). Documents ask for it all the
	// same, such as those of `runc spec`.
	sets.ambient &= sets.permitted & sets.inheritable
	return sets, nil
}
