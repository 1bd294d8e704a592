package cli

import (
	"fmt"
	"go/doc/comment"
	"strings"

	"github.com/alecthomas/kong"
)

// page is written in the language of man(7).
type page struct {
	strings.Builder
	headed bool // the last line is a heading, which begins a paragraph
}

func (p *page) line(s string) {
	p.WriteString(s + "\n")
	p.headed = false
}

func (p *page) heading(s string) {
	p.line(".SH " + quoted(s))
	p.headed = true
}

func (p *page) subheading(s string) {
	p.line(".SS " + quoted(s))
	p.headed = true
}

func (p *page) paragraph() {
	if !p.headed {
		p.line(".PP")
	}
}

// title writes the head of a page.
func (p *page) title(name string, section int, summary string) {
	p.line(fmt.Sprintf(".TH %s %d %s %s", quoted(strings.ToUpper(name)), section, versionDate, quoted("mydocker "+Version)))
	p.line(".nh\n.ad l") // no hyphenation, no justification
	p.heading("NAME")
	p.line(roff(name) + ` \- ` + roff(summary))
}

// seeAlso refers to all pages but this one.
func (p *page) seeAlso(self string) {
	var pages []string
	for _, name := range family {
		if name != self {
			pages = append(pages, `\fB`+roff(name)+`\fR(1)`)
		}
	}
	if self != pipelinePage {
		pages = append(pages, `\fB`+roff(pipelinePage)+`\fR(7)`)
	}
	p.heading("SEE ALSO")
	p.line(strings.Join(pages, ",\n"))
}

// options writes the arguments and options of a command, in the words of its help.
func (p *page) options(c Command, node *kong.Node) {
	for _, row := range argumentRows(node) {
		p.line(`.IP "\fI` + roff(row[0]) + `\fR" 4`)
		p.text(row[1])
	}
	for i, s := range c.optionSections(node) {
		if i > 0 {
			p.line(".PP\n\\fB" + roff(s.title) + "\\fR")
		}
		for _, row := range s.rows() {
			p.option(row[0], row[1])
		}
	}
}

// option writes one option; names come from flagNames.
func (p *page) option(names, help string) {
	p.line(".TP")
	var parts []string
	for _, name := range strings.Split(names, ", ") {
		name, value, takes := strings.Cut(name, " ")
		name = `\fB` + roff(name) + `\fR`
		if takes {
			name += ` \fI` + roff(value) + `\fR`
		}
		parts = append(parts, name)
	}
	p.line(strings.Join(parts, ", "))
	p.text(help)
}

// prose writes a paragraph.
func (p *page) prose(s string) {
	p.paragraph()
	p.text(s)
}

// text writes words in lines of a comfortable length.
func (p *page) text(s string) {
	line := ""
	for _, word := range strings.Fields(s) {
		word = roff(word)
		if line != "" && len(line)+len(word) >= 80 {
			p.line(line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	p.line(line)
}

// section is a heading with its text.
type section struct {
	title  string
	blocks []comment.Block
}

type sections []section

// take removes the section with a title and returns it.
func (s *sections) take(title string) sections {
	for i, sec := range *s {
		if sec.title == title {
			*s = append((*s)[:i:i], (*s)[i+1:]...)
			return sections{sec}
		}
	}
	return nil
}

// join appends sections. A section whose title exists is appended to it.
func (s *sections) join(more sections) {
next:
	for _, m := range more {
		for i := range *s {
			if (*s)[i].title == m.title {
				(*s)[i].blocks = append((*s)[i].blocks, m.blocks...)
				continue next
			}
		}
		*s = append(*s, m)
	}
}

// sections writes sections.
func (p *page) sections(all sections) {
	for _, s := range all {
		p.heading(s.title)
		p.blocks(s.blocks)
	}
}

// blocks writes the blocks of a doc comment (go.dev/doc/comment).
func (p *page) blocks(blocks []comment.Block) {
	for _, b := range blocks {
		switch b := b.(type) {
		case *comment.Paragraph:
			p.prose(plain(b.Text))
		case *comment.Code:
			p.paragraph()
			p.line(".RS 4\n.nf")
			for _, line := range strings.Split(strings.TrimSuffix(b.Text, "\n"), "\n") {
				p.line(roff(strings.ReplaceAll(line, "\t", "    ")))
			}
			p.line(".fi\n.RE")
		case *comment.List:
			for _, item := range b.Items {
				p.item(item)
			}
		}
	}
}

// item writes an item of a list. Items of doc comments hold paragraphs only.
func (p *page) item(item *comment.ListItem) {
	mark := `\(bu`
	if item.Number != "" {
		mark = item.Number + "."
	}
	p.line(`.IP "` + mark + `" 4`)
	for i, b := range item.Content {
		if i > 0 {
			p.line(".IP")
		}
		if b, ok := b.(*comment.Paragraph); ok {
			p.text(plain(b.Text))
		}
	}
}

// plain returns the text without links.
func plain(texts []comment.Text) string {
	var b strings.Builder
	for _, t := range texts {
		switch t := t.(type) {
		case comment.Plain:
			b.WriteString(string(t))
		case comment.Italic:
			b.WriteString(string(t))
		case *comment.Link:
			b.WriteString(plain(t.Text))
		case *comment.DocLink:
			b.WriteString(plain(t.Text))
		}
	}
	return b.String()
}

// parsePackageComment returns the sections of the comment at the head of a Go file.
func parsePackageComment(file string) sections {
	var b strings.Builder
	for line := range strings.Lines(file) {
		text, ok := strings.CutPrefix(line, "//")
		if !ok {
			break
		}
		b.WriteString(strings.TrimPrefix(text, " "))
	}
	return parseText(b.String())
}

// parseText returns the sections of a doc comment's text, without a paragraph "Package x is …".
func parseText(text string) sections {
	all := sections{{title: "DESCRIPTION"}}
	for _, b := range new(comment.Parser).Parse(text).Content {
		last := &all[len(all)-1]
		switch b := b.(type) {
		case *comment.Heading:
			all = append(all, section{title: strings.ToUpper(plain(b.Text))})
			continue
		case *comment.Paragraph:
			if strings.HasPrefix(plain(b.Text), "Package ") {
				continue
			}
		}
		last.blocks = append(last.blocks, b)
	}
	if len(all[0].blocks) == 0 {
		return all[1:]
	}
	return all
}

// roff escapes a line of text for the formatter.
func roff(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case i == 0 && r == '.':
			b.WriteString(`\&.`)
		case r > 126:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteString(roffName(r))
		}
	}
	return b.String()
}

// roffName returns the escape of a character that a formatter would replace (man-pages(7)).
func roffName(r rune) string {
	switch r {
	case '\\':
		return `\e`
	case '-':
		return `\-`
	case '\'':
		return `\(aq`
	case '"':
		return `\(dq`
	case '`':
		return `\(ga`
	case '^':
		return `\(ha`
	case '~':
		return `\(ti`
	}
	return string(r)
}

// quoted returns a macro argument in quotes.
func quoted(s string) string { return `"` + roff(s) + `"` }
