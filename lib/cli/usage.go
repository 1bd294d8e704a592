package cli

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// OptionGroup is a heading for some of a command's options.
type OptionGroup struct {
	Title   string   // "NETWORK OPTIONS"
	Options []string // their names: "ip"
}

// optionSection is one list of options in the help and in the page.
type optionSection struct {
	title string
	flags []*kong.Flag
}

func (s optionSection) rows() [][2]string {
	rows := make([][2]string, len(s.flags))
	for i, f := range s.flags {
		rows[i] = [2]string{flagNames(f), f.Help}
	}
	return rows
}

// optionSections returns the options of a command: first those outside of its groups, then each group.
func (c Command) optionSections(node *kong.Node) []optionSection {
	sections := make([]optionSection, 1+len(c.Groups))
	sections[0].title = "OPTIONS"
	for i, g := range c.Groups {
		sections[i+1].title = g.Title
	}
	for _, f := range node.Flags {
		if f.Hidden {
			continue
		}
		i := 1 + slices.IndexFunc(c.Groups, func(g OptionGroup) bool { return slices.Contains(g.Options, f.Name) })
		sections[i].flags = append(sections[i].flags, f)
	}
	return slices.DeleteFunc(sections, func(s optionSection) bool { return len(s.flags) == 0 })
}

// forms returns what may follow the command's name, one string for each form of the command.
func (c Command) forms(node *kong.Node) []string {
	if c.Usage != "" {
		return strings.Split(strings.TrimSpace(c.Usage), " | ")
	}
	var words []string
	if hasOptions(node) {
		words = append(words, "[command options]")
	}
	for _, arg := range node.Positional {
		words = append(words, argumentForm(arg))
	}
	return []string{strings.Join(words, " ")}
}

func hasOptions(node *kong.Node) bool {
	return slices.ContainsFunc(node.Flags, func(f *kong.Flag) bool { return !f.Hidden })
}

// argumentForm returns an argument as a synopsis shows it. A passthrough argument with another name than COMMAND holds
// a word of that name, and a command after it.
func argumentForm(arg *kong.Positional) string {
	name := argumentName(arg)
	switch {
	case arg.Passthrough && name == "ARG":
		return "[ARG...]"
	case arg.Passthrough && !arg.Required:
		return "[" + name + "] [ARG...]"
	case arg.Passthrough && name == "COMMAND":
		return "COMMAND [ARG...]"
	case arg.Passthrough:
		return name + " COMMAND [ARG...]"
	}
	if arg.IsSlice() {
		name += "..."
	}
	if !arg.Required {
		name = "[" + name + "]"
	}
	return name
}

// argumentName returns "CONTAINER" for the fields Container and Containers.
func argumentName(arg *kong.Positional) string {
	name := strings.ToUpper(arg.Name)
	if arg.IsSlice() {
		name = strings.TrimSuffix(name, "S")
	}
	return name
}

// argumentRows returns the arguments of a command that have a help text.
func argumentRows(node *kong.Node) [][2]string {
	var rows [][2]string
	for _, arg := range node.Positional {
		if arg.Help != "" {
			rows = append(rows, [2]string{argumentName(arg), arg.Help})
		}
	}
	return rows
}
