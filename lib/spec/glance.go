package spec

import (
	"encoding/json"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/tidwall/gjson"
)

// Glance reads of the start of a document what a list of containers shows: version, annotations, the program's words
// and the control group. It reports false where that is not all there, or is of another kind: then [Read] says what is
// wrong, if anything is. The system call filter, which is most of a document and stands last in those that we write,
// is neither read nor checked: a list of hundreds waits for nothing else.
func Glance(start []byte) (*Spec, bool) {
	s := &Spec{}
	s.Process, s.Linux = &specs.Process{}, &specs.Linux{}
	for path, part := range map[string]any{
		"ociVersion": &s.Version, "annotations": &s.Annotations,
		"process.args": &s.Process.Args, "linux.cgroupsPath": &s.Linux.CgroupsPath,
	} {
		// What is cut off is no JSON.
		if json.Unmarshal([]byte(gjson.GetBytes(start, path).Raw), part) != nil {
			return nil, false
		}
	}
	return s, s.checkVersion() == nil
}
