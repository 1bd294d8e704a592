package program

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/weikeit/mydocker/lib/linux"
)

// Variable is an assignment of an environment variable, or its removal if Unset is set.
type Variable struct {
	Name, Value string
	Unset       bool
}

// Lookup looks up a variable of the caller's environment, like os.LookupEnv. It is used for names without a value.
type Lookup func(name string) (string, bool)

// DefaultPath is the PATH if the image does not set one, as in docker.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const (
	maxEnvFile  = 1 << 20     // bytes; the kernel's default limit for arguments and environment is not much larger
	maxVariable = 128<<10 - 1 // bytes; MAX_ARG_STRLEN in execve(2)
)

// ParseEnv parses the files of --env-file and then the words of -e.
func (l Lookup) ParseEnv(files, words []string) ([]Variable, error) {
	var vars []Variable
	for _, path := range files {
		data, err := linux.ReadInput(path, maxEnvFile)
		if err != nil {
			return nil, fmt.Errorf("read environment file: %w", err)
		}
		more, err := l.parseEnvFile(string(data))
		if err != nil {
			return nil, fmt.Errorf("read environment file %s: %w", path, err)
		}
		vars = append(vars, more...)
	}
	for _, word := range words {
		v, err := l.parseVariable(word)
		if err != nil {
			return nil, err
		}
		vars = append(vars, v)
	}
	return vars, nil
}

// parseEnvFile parses lines of NAME=VALUE or NAME. A line that starts with # is a comment. Quotes and dollar signs are
// literal.
func (l Lookup) parseEnvFile(text string) ([]Variable, error) {
	var vars []Variable
	text = strings.TrimPrefix(text, "\ufeff")
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimLeftFunc(strings.TrimSuffix(line, "\r"), unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		if len(line) > maxVariable {
			return nil, fmt.Errorf("line %d: longer than %d bytes, the limit of execve", n+1, maxVariable)
		}
		v, err := l.parseVariable(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		if strings.ContainsFunc(v.Name, unicode.IsSpace) {
			return nil, fmt.Errorf("line %d: variable %.80q: name has a space", n+1, v.Name)
		}
		vars = append(vars, v)
	}
	return vars, nil
}

// parseVariable parses NAME=VALUE, or NAME for the caller's value. If the caller does not have the variable, it is
// unset.
func (l Lookup) parseVariable(word string) (Variable, error) {
	name, value, valued := strings.Cut(word, "=")
	switch {
	case name == "":
		return Variable{}, fmt.Errorf("variable %.80q: want NAME=VALUE", word)
	case strings.ContainsRune(word, 0):
		return Variable{}, errors.New("variable has a NUL byte")
	case valued:
		return Variable{Name: name, Value: value}, nil
	}
	value, found := l(name)
	return Variable{Name: name, Value: value, Unset: !found}, nil
}

// SetEnv returns env with the variables applied. An existing name keeps its position.
func SetEnv(env []string, vars []Variable) []string {
	out := append([]string(nil), env...)
	for _, v := range vars {
		at := indexEnv(out, v.Name)
		switch {
		case v.Unset && at >= 0:
			out = append(out[:at], out[at+1:]...)
		case v.Unset:
		case at >= 0:
			out[at] = v.Name + "=" + v.Value
		default:
			out = append(out, v.Name+"="+v.Value)
		}
	}
	return out
}

// DefaultEnv adds the defaults whose names env does not have.
func DefaultEnv(env []string, defaults []Variable) []string {
	for _, v := range defaults {
		if indexEnv(env, v.Name) < 0 {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	return env
}

func indexEnv(env []string, name string) int {
	for i, word := range env {
		if key, _, _ := strings.Cut(word, "="); key == name {
			return i
		}
	}
	return -1
}
