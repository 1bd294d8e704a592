package rootfs

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
)

// variable is one assignment of the environment; with unset, the name is taken away.
type variable struct {
	name, value string
	unset       bool
}

// defaultPath is where programs are found when the image says nothing, as docker has it.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// parseEnv reads the files of --env-file and then the words of -e.
func (m *Manager) parseEnv(files, words []string) ([]variable, error) {
	var vars []variable
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("environment file: %w", err)
		}
		more, err := m.parseEnvFile(string(data))
		if err != nil {
			return nil, fmt.Errorf("environment file %s: %w", path, err)
		}
		vars = append(vars, more...)
	}
	for _, word := range words {
		v, err := m.parseVariable(word)
		if err != nil {
			return nil, err
		}
		vars = append(vars, v)
	}
	return vars, nil
}

// parseEnvFile reads lines of NAME=VALUE or NAME. A line that starts with # is a comment; quotes and
// dollars mean themselves.
func (m *Manager) parseEnvFile(text string) ([]variable, error) {
	var vars []variable
	text = strings.TrimPrefix(text, "\ufeff")
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimLeftFunc(strings.TrimSuffix(line, "\r"), unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		v, err := m.parseVariable(line)
		if err == nil && strings.ContainsFunc(v.name, unicode.IsSpace) {
			err = fmt.Errorf("variable %.80q: a space in its name", v.name)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		vars = append(vars, v)
	}
	return vars, nil
}

// parseVariable reads NAME=VALUE, or NAME for the caller's value. What the caller has not is left out.
func (m *Manager) parseVariable(word string) (variable, error) {
	name, value, valued := strings.Cut(word, "=")
	switch {
	case name == "":
		return variable{}, fmt.Errorf("variable %.80q: want NAME=VALUE", word)
	case strings.ContainsRune(word, 0):
		return variable{}, errors.New("variable: a NUL byte in it")
	case valued:
		return variable{name: name, value: value}, nil
	}
	value, found := m.LookupEnv(name)
	return variable{name: name, value: value, unset: !found}, nil
}

// setEnv applies variables to an environment of NAME=VALUE. A name that is there keeps its place.
func setEnv(env []string, vars []variable) []string {
	out := append([]string(nil), env...)
	for _, v := range vars {
		at := indexEnv(out, v.name)
		switch {
		case v.unset && at >= 0:
			out = append(out[:at], out[at+1:]...)
		case v.unset:
		case at >= 0:
			out[at] = v.name + "=" + v.value
		default:
			out = append(out, v.name+"="+v.value)
		}
	}
	return out
}

// defaultEnv adds what every program finds, where nobody has said it.
func defaultEnv(env []string, defaults []variable) []string {
	for _, v := range defaults {
		if indexEnv(env, v.name) < 0 {
			env = append(env, v.name+"="+v.value)
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

// imageEnv reads the environment of an image; what is no assignment is left out.
func imageEnv(words []string) []variable {
	var vars []variable
	for _, word := range words {
		name, value, valued := strings.Cut(word, "=")
		if valued && name != "" && !strings.ContainsRune(word, 0) {
			vars = append(vars, variable{name: name, value: value})
		}
	}
	return vars
}
