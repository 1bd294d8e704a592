package spawn

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// setLimits applies the resource limits and the score of the out-of-memory killer.
func setLimits(proc *specs.Process) error {
	for _, l := range proc.Rlimits {
		n, ok := linux.RlimitNumber(l.Type)
		if !ok {
			return fmt.Errorf("process.rlimits: %.40q: no such limit", l.Type)
		}
		if err := linux.SetRlimit(n, l.Soft, l.Hard); err != nil {
			return fmt.Errorf("set %s to %d:%d: %w (raising a hard limit needs CAP_SYS_RESOURCE)", l.Type, l.Soft, l.Hard, err)
		}
	}
	if proc.OOMScoreAdj != nil {
		score := strconv.Itoa(*proc.OOMScoreAdj)
		linux.TraceWrite("/proc/self/oom_score_adj", score)
		if err := os.WriteFile("/proc/self/oom_score_adj", []byte(score), 0); err != nil {
			return fmt.Errorf("set the OOM score to %s: %w (lowering it needs CAP_SYS_RESOURCE)", score, errnoOf(err))
		}
	}
	return nil
}

// setCredentials changes to the program's user, groups and capabilities (capabilities(7)). The
// bounding set goes first: dropping from it needs CAP_SETPCAP.
func setCredentials(proc *specs.Process) error {
	sets, err := capabilitySets(proc.Capabilities)
	if err != nil {
		return err
	}
	if proc.Capabilities != nil {
		if err := linux.SetBounding(sets.bounding); err != nil {
			return err
		}
	}
	traceCredentials(proc)
	u := proc.User
	if u.Umask != nil {
		linux.Umask(int(*u.Umask))
	}
	if err := linux.SetUser(u.UID, u.GID, u.AdditionalGids); err != nil {
		return err
	}
	if proc.Capabilities != nil {
		err = linux.SetCapabilities(sets.effective, sets.permitted, sets.inheritable, sets.ambient)
		if err != nil {
			return err
		}
	}
	if proc.NoNewPrivileges {
		return linux.SetNoNewPrivs()
	}
	return nil
}

// traceCredentials shows the change as setpriv(1) does it.
func traceCredentials(proc *specs.Process) {
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
	linux.Trace(append(words, proc.Args...)...)
}

type capSets struct{ bounding, effective, permitted, inheritable, ambient linux.Capabilities }

// capabilitySets reads the five sets of the document. What we do not hold ourselves cannot be given:
// it is left out, as on a kernel that does not know it.
func capabilitySets(c *specs.LinuxCapabilities) (capSets, error) {
	var sets capSets
	if c == nil {
		return sets, nil
	}
	held := linux.HeldCapabilities()
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
