package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/weikeit/mydocker/lib/spec"
)

// A page for man(1) is made from the tool's table, like the help, and from the package comment of its main: the text
// before the first heading is the description, and each heading is a section. Text for the whole family is here.

// versionDate is the date of Version. Pages show it in their last line.
const versionDate = "2026-11-23"

// pipelinePage is a page of section 7 that every tool can print: the contract of lib/spec.
const pipelinePage = "md-pipeline"

// family are the programs with a page. Each page refers to the others.
var family = [...]string{"md-cgroup", "md-net", "md-ps", "md-pull", "md-rootfs", "md-spawn", "mydocker"}

// familyText is common to all pages, in the form of a package comment.
const familyText = `
# Exit status

0 on success, 1 on failure, 2 for wrong usage.

# Environment

  - MYDOCKER_ROOT holds the state that survives a reboot: images, layers, containers, networks, volumes (/var/lib/mydocker).
  - MYDOCKER_RUN holds the state that does not: process ids, sockets, locks, namespaces (/run/mydocker).

Both are absolute paths. Other paths make a separate set of containers.
`

// programExitText is for commands that exit with the code of the program that they run.
const programExitText = `
# Exit status

%s: the program's own code, or 128+n if signal n ended it; 125 for an error of
mydocker, 126 if the program cannot be executed, 127 if it was not found.
`

// commonOptions are the options of every command. The help names them once.
var commonOptions = [...][2]string{
	{"--debug", "Print the equivalent shell commands to standard error"},
	{"--help, -h", "Show help"},
	{"--version", "Print the version"},
}

// globalOptions are the options before the command. There -v is free for the version.
func (t Tool) globalOptions() [][2]string {
	options := slices.Clone(commonOptions[:])
	if !t.single() {
		options[len(options)-1] = [2]string{"--version, -v", "Print the version (-v: only before the command)"}
	}
	for _, o := range t.Globals {
		options = append(options, [2]string{o.words(), o.Help})
	}
	return options
}

// man prints a page: the tool's own, or the one of the pipeline.
func (t Tool) man(w io.Writer, name string) error {
	p := &page{}
	switch name {
	case "", t.Name:
		if err := t.manPage(p); err != nil {
			return err
		}
	case pipelinePage:
		p.title(pipelinePage, 7, "the document that the tools pass down a pipe, and their contract")
		p.sections(parsePackageComment(spec.Contract))
		p.seeAlso(pipelinePage)
	default:
		return fmt.Errorf("no page %q: want %s or %s", name, t.Name, pipelinePage)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// manPage writes the tool's own page.
func (t Tool) manPage(p *page) error {
	text := parsePackageComment(t.Doc)
	summary, _, _ := strings.Cut(cmp.Or(t.Summary, t.Commands[0].Summary), "\n")
	p.title(t.Name, 1, lowerFirst(strings.TrimSuffix(strings.TrimPrefix(summary, t.Name+" is "), ".")))
	nodes, err := t.nodes()
	if err != nil {
		return err
	}
	p.heading("SYNOPSIS")
	p.line(".nf")
	for i, c := range t.Commands {
		if !c.Hidden {
			for _, form := range c.forms(nodes[i]) {
				p.line(strings.TrimSpace(`\fB` + roff(c.path(t)) + `\fR ` + roff(form)))
			}
		}
	}
	p.line(".fi")
	p.sections(text.take("DESCRIPTION"))
	t.manCommands(p, nodes)
	p.heading("COMMON OPTIONS")
	for _, o := range t.globalOptions() {
		p.option(o[0], o[1])
	}
	all := parseText(familyText)
	all.join(t.programExits())
	all.join(text)
	p.sections(all)
	p.seeAlso(t.Name)
	return nil
}

// nodes returns kong's model of each command.
func (t Tool) nodes() ([]*kong.Node, error) {
	nodes := make([]*kong.Node, len(t.Commands))
	for i, c := range t.Commands {
		parser, err := c.parser(t, c.New(), &common{})
		if err != nil {
			return nil, err
		}
		nodes[i] = parser.Model.Node
	}
	return nodes, nil
}

// manCommands writes the summary, arguments and options of each command.
func (t Tool) manCommands(p *page, nodes []*kong.Node) {
	if t.single() {
		p.heading("OPTIONS")
		p.options(t.Commands[0], nodes[0])
		return
	}
	p.heading("COMMANDS")
	for i, c := range t.Commands {
		if c.Hidden {
			continue
		}
		p.subheading(c.path(t))
		p.prose(c.Summary + ".")
		if len(c.Aliases) > 0 {
			p.prose("Also: " + strings.Join(c.Aliases, ", ") + ".")
		}
		p.options(c, nodes[i])
	}
}

// programExits returns the exit status of the commands that run a program.
func (t Tool) programExits() sections {
	var names []string
	for _, c := range t.Commands {
		if c.Failure == ExitOurs {
			names = append(names, c.path(t))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return parseText(fmt.Sprintf(programExitText, strings.Join(names, ", ")))
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
