package image

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/program"
)

// applyChange changes a configuration by one line of a Dockerfile, such as "CMD sh" or `ENV A=b`.
func applyChange(c *v1.ImageConfig, line string) error {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return fmt.Errorf("change %.80q: want an instruction and its value, such as \"CMD sh\"", line)
	}
	switch strings.ToUpper(word) {
	case "CMD":
		c.Cmd = commandWords(rest)
	case "ENTRYPOINT":
		c.Entrypoint = commandWords(rest)
	case "ENV":
		return eachPair(rest, func(name, value string) {
			c.Env = program.SetEnv(c.Env, []program.Variable{{Name: name, Value: value}})
		})
	case "LABEL":
		return eachPair(rest, func(name, value string) { c.Labels = with(c.Labels, name, value) })
	case "EXPOSE":
		for _, port := range strings.Fields(rest) {
			if !strings.Contains(port, "/") {
				port += "/tcp"
			}
			c.ExposedPorts = with(c.ExposedPorts, port, struct{}{})
		}
	case "USER":
		c.User = rest
	case "VOLUME":
		for _, dir := range jsonWords(rest, strings.Fields) {
			c.Volumes = with(c.Volumes, dir, struct{}{})
		}
	case "WORKDIR":
		if !path.IsAbs(rest) {
			rest = path.Join("/", c.WorkingDir, rest)
		}
		c.WorkingDir = rest
	case "STOPSIGNAL":
		c.StopSignal = rest
	default:
		return fmt.Errorf("change %.80q: want CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR", line)
	}
	return nil
}

func with[V any](m map[string]V, key string, value V) map[string]V {
	if m == nil {
		m = make(map[string]V)
	}
	m[key] = value
	return m
}

// commandWords parses the exec form, a JSON array, or the shell form.
func commandWords(text string) []string {
	return jsonWords(text, func(text string) []string { return []string{"/bin/sh", "-c", text} })
}

func jsonWords(text string, otherwise func(string) []string) []string {
	var words []string
	if strings.HasPrefix(text, "[") && json.Unmarshal([]byte(text), &words) == nil {
		return words
	}
	return otherwise(text)
}

// eachPair parses "NAME VALUE", or NAME=VALUE... with words that may be quoted.
func eachPair(text string, do func(name, value string)) error {
	first, rest, _ := strings.Cut(text, " ")
	if !strings.Contains(first, "=") {
		do(first, strings.TrimSpace(rest))
		return nil
	}
	words, err := splitQuoted(text)
	if err != nil {
		return err
	}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return fmt.Errorf("%.80q: want NAME=VALUE", word)
		}
		do(name, value)
	}
	return nil
}

// splitQuoted splits a text at blanks that are not quoted, by the rules of a Dockerfile.
func splitQuoted(text string) (words []string, err error) {
	var word strings.Builder
	var quote rune
	inWord, escaped := false, false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%.80q: missing closing quote", text)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
