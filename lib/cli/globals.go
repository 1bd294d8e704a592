package cli

import (
	"fmt"
	"slices"
	"strings"
)

// Global is an option before the command.
type Global struct {
	Name string // "root"
	Word bool   // it takes a value; otherwise it is a switch
	Help string
	Set  func(word string) error
}

// words returns the option as the help shows it.
func (o Global) words() string {
	if !o.Word {
		return "--" + o.Name
	}
	return "--" + o.Name + " value"
}

// globals are the options before the command.
type globals struct{ debug, help, version bool }

func (g *globals) parse(args []string, more []Global) ([]string, error) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		var err error
		switch args[0] {
		case "--debug":
			g.debug = true
		case "--help", "-h":
			g.help = true
		case "--version", "-v":
			g.version = true
		default:
			if args, err = set(args, more); err != nil {
				return nil, err
			}
		}
		args = args[1:]
	}
	return args, nil
}

// set sets the option at the head of args, and returns args from the option's last word on.
func set(args []string, options []Global) ([]string, error) {
	name, word, given := strings.Cut(args[0], "=")
	i := slices.IndexFunc(options, func(o Global) bool { return "--"+o.Name == name })
	switch {
	case i < 0:
		return nil, fmt.Errorf("unknown option %s", args[0])
	case options[i].Word && !given && len(args) < 2:
		return nil, fmt.Errorf("%s needs a value", args[0])
	case options[i].Word && !given:
		args, word = args[1:], args[1]
	}
	return args, options[i].Set(word)
}
