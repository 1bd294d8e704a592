package program

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/weikeit/mydocker/lib/linux"
)

// Variable is one assignment of the environment; with Unset, the name is taken away.
type Variable struct {
	Name, Value string
	Unset       bool
}

// Lookup finds a variable of the caller, for those that are named without a value: os.LookupEnv.
type Lookup func(name string) (string, bool)

// DefaultPath is where programs are found when the image says nothing, as docker has it.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const (
	maxEnvFile  = 1 << 20     // bytes: all words of a program come to less, by the kernel's default
	maxVariable = 128<<10 - 1 // bytes: one word of a program (MAX_ARG_STRLEN in execve(2))
)

// ParseEnv reads the files of --env-file and then the words of -e.
func (l Lookup) ParseEnv(files, words []string) ([]Variable, error) {
	var vars []Variable
	for _, path := range files {
		data, err := linux.ReadGiven(path, maxEnvFile)
		if err != nil {
			return nil, fmt.Errorf("environment file: %w", err)
		}
		more, err := l.parseEnvFile(string(data))
		if err != nil {
			return nil, fmt.Errorf("environment file %s: %w", path, err)
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

// parseEnvFile reads lines of NAME=VALUE or NAME. A line that starts with # is a comment; quotes and
// dollars mean themselves.
func (l Lookup) parseEnvFile(text string) ([]Variable, error) {
	var vars []Variable
	text = strings.TrimPrefix(text, "\ufeff")
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimLeftFunc(strings.TrimSuffix(line, "\r"), unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		if len(line) > maxVariable {
			return nil, fmt.Errorf("line %d: longer than %d bytes: no program can be given it", n+1, maxVariable)
		}
		v, err := l.parseVariable(line)
		if err == nil && strings.ContainsFunc(v.Name, unicode.IsSpace) {
			err = fmt.Errorf("variable %.80q: a space in its name", v.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		vars = append(vars, v)
	}
	return vars, nil
}

// parseVariable reads NAME=VALUE, or NAME for the caller's value. What the caller has not is left out.
func (l Lookup) parseVariable(word string) (Variable, error) {
	name, value, valued := strings.Cut(word, "=")
	switch {
	case name == "":
		return Variable{}, fmt.Errorf("variable %.80q: want NAME=VALUE", word)
	case strings.ContainsRune(word, 0):
		return Variable{}, errors.New("variable: a NUL byte in it")
	case valued:
		return Variable{Name: name, Value: value}, nil
	}
	value, found := l(name)
	return Variable{Name: name, Value: value, Unset: !found}, nil
}

// SetEnv applies variables to an environment of NAME=VALUE. A name that is there keeps its place.
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

// DefaultEnv adds what every program finds, where nobody has said it.
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
