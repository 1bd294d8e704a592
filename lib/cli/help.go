package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// help prints what the tool, or one group of its commands ("network"), offers.
func (t Tool) help(w io.Writer, group string) {
	name, summary := t.Name, t.Summary
	if group != "" {
		name += " " + group
		if c, ok := t.find(group); ok {
			summary = c.Summary
		} else if g, ok := t.group(group); ok {
			summary = g.Summary
		}
	}
	fmt.Fprintf(w, "NAME:\n   %s - %s\n\n", name, summary)
	if group == "" {
		fmt.Fprintf(w, "USAGE:\n   %s [global options] command [command options] [arguments...]\n\n", name)
		fmt.Fprintf(w, "VERSION:\n   %s\n\n", Version)
	} else {
		fmt.Fprintf(w, "USAGE:\n   %s command [command options] [arguments...]\n\n", name)
	}
	printCommands(w, "COMMANDS", append(t.rows(group, false), helpRow))
	if more := t.rows(group, true); len(more) > 0 {
		fmt.Fprintln(w)
		printCommands(w, "MORE COMMANDS", more)
	}
	if group == "" {
		fmt.Fprint(w, "\nGLOBAL OPTIONS:\n   --debug        print mydocker debug logs\n   --help, -h     show help\n   --version, -v  print the version\n")
		if len(t.Globals) > 0 {
			fmt.Fprint(w, "\nGLOBAL OPTIONS OF AN OCI RUNTIME:\n")
			tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, o := range t.Globals {
				fmt.Fprintf(tw, "   %s\t%s\n", o.words(), o.Help)
			}
			tw.Flush()
		}
	} else {
		fmt.Fprint(w, "\nOPTIONS:\n   --help, -h  show help\n")
	}
}

// helpRow is the command that every tool has.
var helpRow = [2]string{"help, h", "Shows a list of commands or help for one command"}

func printCommands(w io.Writer, heading string, rows [][2]string) {
	fmt.Fprintf(w, "%s:\n", heading)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(tw, "     %s\t%s\n", row[0], row[1])
	}
	tw.Flush()
}

// rows lists the commands of a group, or the tool's own with each group as one row: those of the help's
// first list, or those of its second.
func (t Tool) rows(group string, more bool) [][2]string {
	var rows [][2]string
	seen := make(map[string]bool)
	for _, c := range t.Commands {
		first, rest, nested := strings.Cut(c.Name, " ")
		switch {
		case c.Hidden:
		case group != "":
			if nested && first == group && c.More == more {
				rows = append(rows, [2]string{rest, c.Summary})
			}
		case nested:
			if g, ok := t.group(first); ok && g.More == more && !seen[first] {
				seen[first] = true
				rows = append(rows, [2]string{first, g.Summary})
			}
		case c.More == more:
			rows = append(rows, [2]string{strings.Join(append([]string{c.Name}, c.Aliases...), ", "), c.Summary})
		}
	}
	return rows
}

// helpFor prints the help of the command that the words name.
func (t Tool) helpFor(words []string, std *IO) int {
	if len(words) == 0 {
		t.help(std.Out, "")
		return 0
	}
	name := strings.Join(words, " ")
	if c, ok := t.find(name); ok {
		parser, err := c.parser(t, c.New(), &common{})
		if err != nil {
			return c.report(t, err, std)
		}
		c.help(std.Out, t, parser.Model.Node)
		return 0
	}
	if _, ok := t.group(name); ok {
		t.help(std.Out, name)
		return 0
	}
	fmt.Fprintf(std.Err, "%s: unknown command %q (see '%s --help')\n", t.Name, name, t.Name)
	return ExitUsage
}

// help prints one command's options in the README's form.
func (c Command) help(w io.Writer, t Tool, node *kong.Node) {
	usage := c.Usage
	if usage == "" {
		usage = "[command options] [arguments...]"
	}
	fmt.Fprintf(w, "NAME:\n   %s - %s\n\n", c.path(t), c.Summary)
	fmt.Fprintf(w, "USAGE:\n   %s %s\n", c.path(t), usage)
	var rows [][2]string
	width := 0
	for _, f := range node.Flags {
		if f.Hidden {
			continue
		}
		names := flagNames(f)
		width = max(width, len(names))
		rows = append(rows, [2]string{names, f.Help})
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprint(w, "\nOPTIONS:\n")
	for _, row := range rows {
		fmt.Fprintf(w, "   %-*s  %s\n", width, row[0], row[1])
	}
}

// flagNames returns "--publish value, -p value".
func flagNames(f *kong.Flag) string {
	names := []string{"--" + f.Name}
	if f.Tag.Short != 0 {
		names = append(names, "-"+string(f.Tag.Short))
	}
	for _, alias := range f.Tag.Aliases {
		names = append(names, "--"+alias)
	}
	if !f.IsBool() {
		for i := range names {
			names[i] += " value"
		}
	}
	return strings.Join(names, ", ")
}
