package spec

import (
	"encoding/json"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/tidwall/gjson"
)

// Glance reads from the start of a document what a list of containers shows: version, annotations, arguments and
// cgroup. It returns false if one of them is missing, cut off or of another type; then [Read] returns the error, if
// any. The seccomp filter, which is most of a document and comes last in ours, is neither read nor checked: reading it
// would take most of the time of a list.
func Glance(start []byte) (*Spec, bool) {
	s := &Spec{}
	s.Process, s.Linux = &specs.Process{}, &specs.Linux{}
	for path, part := range map[string]any{
		"ociVersion": &s.Version, "annotations": &s.Annotations,
		"process.args": &s.Process.Args, "linux.cgroupsPath": &s.Linux.CgroupsPath,
	} {
		// A value that is cut off is not valid JSON.
		if json.Unmarshal([]byte(gjson.GetBytes(start, path).Raw), part) != nil {
			return nil, false
		}
	}
	return s, s.checkVersion() == nil
}
