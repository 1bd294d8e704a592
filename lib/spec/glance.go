package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Glance reads of a document what a list of containers shows: version, annotations, the program's words and
// the control group. It stops when it has them, so that the start of a document is enough in which they all
// stand: the system call filter, which is most of a document and stands last in those that we write, is
// neither read nor checked. What is passed over is not decoded: a list of hundreds waits for nothing else.
func Glance(data []byte) (*Spec, error) {
	s := &Spec{}
	s.Process, s.Linux = &specs.Process{}, &specs.Linux{}
	wanted := map[string]any{
		"ociVersion":  &s.Version,
		"annotations": &s.Annotations,
		"process":     map[string]any{"args": &s.Process.Args},
		"linux":       map[string]any{"cgroupsPath": &s.Linux.CgroupsPath},
	}
	if _, err := skim(bytes.TrimLeft(data, blanks), wanted, true); err != nil {
		return nil, fmt.Errorf("read the document: not an OCI config.json: %w", plainly(err))
	}
	if err := s.checkVersion(); err != nil {
		return nil, err
	}
	return s, nil
}

const blanks = " \t\r\n"

var errNoObject = errors.New("no JSON object")

// skim decodes the wanted members of the object at the start of data, and returns what stands behind it; what is
// wanted of a member that is an object itself is a map. With stop it reads no further than the last of them.
func skim(data []byte, wanted map[string]any, stop bool) (rest []byte, err error) {
	if len(data) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if data[0] != '{' {
		return nil, errNoObject
	}
	rest = bytes.TrimLeft(data[1:], blanks)
	for len(rest) > 0 && rest[0] != '}' {
		if stop && len(wanted) == 0 { // also where a member that was skimmed has stopped
			return nil, nil
		}
		var name string
		if name, rest, err = memberName(rest); err != nil {
			return nil, err
		}
		part := wanted[name]
		delete(wanted, name)
		if inner, ok := part.(map[string]any); ok {
			rest, err = skim(rest, inner, stop && len(wanted) == 0)
		} else {
			var value []byte
			if value, rest, err = next(rest); err == nil && part != nil {
				err = json.Unmarshal(value, part)
			}
		}
		if err != nil {
			return nil, err
		}
		if stop && len(wanted) == 0 {
			return nil, nil
		}
		if rest = bytes.TrimLeft(rest, blanks); len(rest) > 0 && rest[0] == ',' {
			rest = bytes.TrimLeft(rest[1:], blanks)
		}
	}
	if len(rest) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return rest[1:], nil
}

// memberName reads the name of an object's member and returns the start of its value.
func memberName(data []byte) (name string, value []byte, err error) {
	word, rest, err := next(data)
	if err == nil {
		err = json.Unmarshal(word, &name)
	}
	if err != nil {
		return "", nil, err
	}
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(rest, blanks), []byte{':'})
	if !ok {
		return "", nil, errNoObject
	}
	return name, bytes.TrimLeft(rest, blanks), nil
}

// next cuts the first value off. It goes by quotes and brackets alone: whether the value is one is seen by who
// decodes it.
func next(data []byte) (value, rest []byte, err error) {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			if i = endOfString(data, i); i < 0 {
				return nil, nil, io.ErrUnexpectedEOF
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 { // of a number, or of a word
				return data[:i], data[i:], nil
			}
			continue
		default:
			continue
		}
		if depth < 0 { // a number or a word was the last
			return data[:i], data[i:], nil
		}
		if depth == 0 {
			return data[:i+1], data[i+1:], nil
		}
	}
	return nil, nil, io.ErrUnexpectedEOF
}

// endOfString returns where the string that starts at i ends; -1 where it does not.
func endOfString(data []byte, i int) int {
	for i++; ; i++ {
		j := bytes.IndexByte(data[i:], '"')
		if j < 0 {
			return -1
		}
		slashes := 0
		for k := i + j - 1; k >= i && data[k] == '\\'; k-- {
			slashes++
		}
		if i += j; slashes%2 == 0 {
			return i
		}
	}
}
