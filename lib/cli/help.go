package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// help prints the commands of the tool, or of one of its groups ("network").
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
	if same := t.aliasRows(group); group != "" && len(same) > 0 {
		fmt.Fprintln(w)
		printCommands(w, fmt.Sprintf("THE SAME AS WITHOUT %q", group), same)
	}
	if group == "" {
		fmt.Fprint(w, "\nGLOBAL OPTIONS:\n   --debug        print mydocker debug logs\n   --help, -h     show help\n   --version, -v  print the version\n")
		if len(t.Globals) > 0 {
			rows := make([][2]string, len(t.Globals))
			for i, o := range t.Globals {
				rows[i] = [2]string{o.words(), o.Help}
			}
			printRows(w, "GLOBAL OPTIONS OF AN OCI RUNTIME", rows)
		}
	} else {
		fmt.Fprint(w, "\nOPTIONS:\n   --help, -h  show help\n")
	}
}

// helpRow is the row of the command that every tool has.
var helpRow = [2]string{"help, h", "Shows a list of commands or help for one command"}

func printCommands(w io.Writer, heading string, rows [][2]string) {
	fmt.Fprintf(w, "%s:\n", heading)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(tw, "     %s\t%s\n", row[0], row[1])
	}
	tw.Flush()
}

// rows returns the commands of a group, or the tool's own with one row for each group. more selects the help's second
// list.
func (t Tool) rows(group string, more bool) [][2]string {
	var rows [][2]string
	seen := make(map[string]bool)
	for _, c := range t.Commands {
		first, rest, nested := strings.Cut(c.Name, " ")
		switch {
		case c.Hidden:
		case group != "" && nested && first == group:
			if c.More == more {
				rows = append(rows, [2]string{rest, c.Summary})
			}
		case group != "":
		case nested:
			if g, ok := t.group(first); ok && g.More == more && !seen[first] {
				seen[first] = true
				rows = append(rows, [2]string{first, g.Summary})
			}
		case c.More == more:
			rows = append(rows, [2]string{strings.Join(append([]string{c.Name}, c.namesIn("")...), ", "), c.Summary})
		}
	}
	return rows
}

// aliasRows returns the commands outside of a group that have an alias in it.
func (t Tool) aliasRows(group string) [][2]string {
	var rows [][2]string
	for _, c := range t.Commands {
		if names := c.namesIn(group); len(names) > 0 && !c.Hidden && !strings.HasPrefix(c.Name, group+" ") {
			rows = append(rows, [2]string{strings.Join(names, ", "), c.Summary})
		}
	}
	return rows
}

// namesIn returns the aliases in a group, without its name; for "" those in no group.
func (c Command) namesIn(group string) []string {
	var names []string
	for _, alias := range c.Aliases {
		first, rest, nested := strings.Cut(alias, " ")
		switch {
		case nested && first == group:
			names = append(names, rest)
		case !nested && group == "":
			names = append(names, alias)
		}
	}
	return names
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

// help prints the usage and the options of one command in the README's form.
func (c Command) help(w io.Writer, t Tool, node *kong.Node) {
	fmt.Fprintf(w, "NAME:\n   %s - %s\n\nUSAGE:\n", c.path(t), c.Summary)
	forms := c.forms(node)
	if c.HelpUsage != "" {
		forms = []string{c.HelpUsage}
	}
	for _, form := range forms {
		fmt.Fprintln(w, strings.TrimRight("   "+c.path(t)+" "+form, " "))
	}
	if c.HelpUsage == "" {
		printRows(w, "ARGUMENTS", argumentRows(node))
	}
	for _, s := range c.optionSections(node) {
		printRows(w, s.title, s.rows())
	}
}

// printRows prints a section of two columns, or nothing if there are no rows.
func printRows(w io.Writer, title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	fmt.Fprintf(w, "\n%s:\n", title)
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
