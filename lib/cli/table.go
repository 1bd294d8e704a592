package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/weikeit/mydocker/lib/linux"
)

// columnGap is the space between two columns of a table, as in the README.
const columnGap = 3

// Table prints rows for people.
func Table(w io.Writer, header []string, rows [][]string) error {
	whole := bufio.NewWriter(w) // a tabwriter writes each cell and each padding by itself
	tw := tabwriter.NewWriter(whole, 0, 0, columnGap, ' ', 0)
	fmt.Fprintln(tw, strings.Join(header, "\t"))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cellText(cell)
		}
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return errors.Join(tw.Flush(), whole.Flush())
}

func cellText(cell string) string { return OneLine(strings.ReplaceAll(cell, "\t", " ")) }

// fitTable is [Table] with the cells of one column cut, so that the rows fit the width of the terminal that w is. The
// column keeps at least the width of its header.
func fitTable(w io.Writer, header []string, rows [][]string, column string) error {
	if f, ok := w.(*os.File); ok {
		if size, err := linux.GetWindowSize(f); err == nil && size.Cols > 0 {
			cut(header, rows, slices.Index(header, column), int(size.Cols))
		}
	}
	return Table(w, header, rows)
}

// ellipsis marks a shortened cell. It is ASCII: not every terminal has UTF-8.
const ellipsis = "..."

// cut shortens the cells of column i so that the table is at most width characters wide.
func cut(header []string, rows [][]string, i, width int) {
	if i < 0 {
		return
	}
	rest := width
	for j := range header {
		widest := utf8.RuneCountInString(header[j])
		for _, row := range rows {
			widest = max(widest, utf8.RuneCountInString(cellText(row[j])))
		}
		if j != i {
			rest -= widest
		}
	}
	rest = max(rest-columnGap*(len(header)-1), utf8.RuneCountInString(header[i]))
	for _, row := range rows {
		if text := []rune(cellText(row[i])); len(text) > rest {
			row[i] = string(text[:max(rest-len(ellipsis), 0)]) + ellipsis
		}
	}
}

// Lines writes lines, and keeps the first error for commands that must not stop their work at it.
type Lines struct {
	out io.Writer
	err error
}

// NewLines returns Lines that writes to w, for a terminal as [Screen] does.
func NewLines(w io.Writer) *Lines { return &Lines{out: Screen(w)} }

// Printf writes a line. After an error it writes nothing.
func (l *Lines) Printf(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.out, format+"\n", args...)
	}
}

// Err returns the first error of a write.
func (l *Lines) Err() error { return l.err }

// JSONLines prints values for programs: one JSON object per line.
func JSONLines[T any](w io.Writer, values []T) error {
	whole := bufio.NewWriter(Screen(w))
	enc := json.NewEncoder(whole)
	enc.SetEscapeHTML(false)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return whole.Flush()
}

// JSON prints one value, indented as in the README's inspect.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(Screen(w))
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "    ")
	return enc.Encode(v)
}
