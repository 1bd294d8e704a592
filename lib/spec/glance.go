package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Glance reads of a document what a list of containers shows: version, annotations, mounts, the program's
// words and the control group. It stops when it has them: the system call filter, which is most of
// a document and stands last in those that we write, is neither read nor checked.
func Glance(data []byte) (*Spec, error) {
	s := &Spec{}
	s.Process, s.Linux = &specs.Process{}, &specs.Linux{}
	dec := json.NewDecoder(bytes.NewReader(data))
	err := skim(dec, map[string]any{
		"ociVersion":  &s.Version,
		"annotations": &s.Annotations,
		"mounts":      &s.Mounts,
		"process": &struct {
			Args *[]string `json:"args"`
		}{&s.Process.Args},
		"linux": map[string]any{"cgroupsPath": &s.Linux.CgroupsPath},
	}, true)
	if err != nil {
		return nil, fmt.Errorf("read the document: not an OCI config.json: %w", plainly(err))
	}
	if err := s.checkVersion(); err != nil {
		return nil, err
	}
	return s, nil
}

var errNoObject = errors.New("no JSON object")

// skim decodes the wanted members of an object; what is wanted of a member that is an object itself may be
// a map, too. With stop it reads no further than the last of them.
func skim(dec *json.Decoder, wanted map[string]any, stop bool) error {
	start, err := dec.Token()
	if err != nil {
		return err
	}
	if start != json.Delim('{') {
		return errNoObject
	}
	for dec.More() {
		if stop && len(wanted) == 0 { // also where a member that was skimmed has stopped
			return nil
		}
		key, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		part := wanted[name]
		delete(wanted, name)
		switch part := part.(type) {
		case nil:
			var other json.RawMessage
			err = dec.Decode(&other)
		case map[string]any:
			err = skim(dec, part, stop && len(wanted) == 0)
		default:
			err = dec.Decode(part)
		}
		if err != nil {
			return err
		}
	}
	_, err = dec.Token() // its end
	return err
}
