package cli

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// Words returns the words of a command line that sets the same options as a struct with kong's tags.
func Words(options any) ([]string, error) {
	parser, err := kong.New(options, kong.NoDefaultHelp())
	if err != nil {
		return nil, fmt.Errorf("list options: %w", err)
	}
	var words []string
	for _, f := range parser.Model.Flags {
		words = append(words, flagWords(f, f.Target)...)
	}
	return words, nil
}

// flagWords returns the words for an option, or none if it is not set.
func flagWords(f *kong.Flag, v reflect.Value) []string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return valueWords(f, v.Elem()) // set, even if zero
	case reflect.Slice:
		var words []string
		for i := range v.Len() {
			words = append(words, valueWords(f, v.Index(i))...)
		}
		return words
	}
	if v.IsZero() {
		return nil
	}
	return valueWords(f, v)
}

func valueWords(f *kong.Flag, v reflect.Value) []string {
	name := "--" + f.Name
	if v.Kind() == reflect.Bool {
		if v.Bool() {
			return []string{name}
		}
		return []string{name + "=false"}
	}
	text := fmt.Sprint(v.Interface())
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if data, err := m.MarshalText(); err == nil {
			text = string(data)
		}
	}
	if text == "" || strings.HasPrefix(text, "-") {
		return []string{name + "=" + text}
	}
	if f.Short != 0 {
		name = "-" + string(f.Short)
	}
	return []string{name, text}
}

// Target are the arguments of a command that runs another command in a container: CONTAINER [--] COMMAND [ARG...]. They
// are one argument for kong, so that options after the container belong to the command.
type Target struct {
	Words []string `arg:"" name:"container" passthrough:"partial" help:"Id or name of a container, followed by the command"`
}

// Split returns the name and the command.
func (t Target) Split() (name string, command []string, err error) {
	if len(t.Words) > 1 && t.Words[1] == "--" {
		t.Words = append(t.Words[:1:1], t.Words[2:]...)
	}
	if len(t.Words) < 2 {
		return "", nil, Usagef("want the name of a container and a command")
	}
	return t.Words[0], t.Words[1:], nil
}

// OptionalWord is an option with an optional value: --print, --print=spec.
type OptionalWord struct {
	Given bool
	Word  string
}

// Decode implements kong.MapperValue.
func (o *OptionalWord) Decode(ctx *kong.DecodeContext) error {
	o.Given = true
	if token := ctx.Scan.Peek(); token.Type == kong.FlagValueToken {
		o.Word = ctx.Scan.Pop().String()
	}
	return nil
}

// IsBool implements kong.BoolMapperValue: the value is optional.
func (o *OptionalWord) IsBool() bool { return true }
