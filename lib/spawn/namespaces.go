package spawn

import (
	"fmt"
	"maps"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// timeOffsets returns the content of /proc/PID/timens_offsets (time_namespaces(7)).
func timeOffsets(offsets map[string]specs.LinuxTimeOffset) string {
	text := ""
	for _, clock := range slices.Sorted(maps.Keys(offsets)) {
		text += fmt.Sprintf("%s %d %d\n", clock, offsets[clock].Secs, offsets[clock].Nanosecs)
	}
	return text
}

// join puts the forking thread into the namespaces that its child is born in.
func (l *Launch) join() error {
	if l.pidNS != nil {
		if err := linux.Setns(int(l.pidNS.Fd()), linux.NewPID); err != nil {
			return err
		}
	}
	if !l.newTime {
		return nil
	}
	linux.Trace("unshare", "--time")
	if err := linux.Unshare(linux.NewTime); err != nil {
		return fmt.Errorf("make the time namespace: %w", err)
	}
	if l.time == "" {
		return nil
	}
	linux.TraceWrite("/proc/self/timens_offsets", l.time)
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/timens_offsets", linux.ThreadID()), []byte(l.time), 0); err != nil {
		return fmt.Errorf("set linux.timeOffsets: %w", errnoOf(err))
	}
	return nil
}
