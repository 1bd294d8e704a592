package cli

import (
	"io"
	"strings"
)

// ListFlags are the output options of ps.
type ListFlags struct {
	Quiet   bool   `short:"q" help:"Only print the ids"`
	NoTrunc bool   `help:"Do not cut COMMAND to the width of the terminal"`
	Format  string `help:"table, json (one object per line), or a Go template such as '{{.Name}} {{.PID}}' (default: table)"`
}

// Listing is the form of a list with rows of type T.
type Listing[T any] struct {
	Header []string
	Cells  func(T) []string
	ID     func(T) string // what --quiet prints
	Cut    string         // the column to cut to the width of a terminal; "" for none
}

// Printer returns the function that prints rows as f says.
func (l Listing[T]) Printer(f ListFlags) (func(io.Writer, []T) error, error) {
	if f.NoTrunc {
		l.Cut = ""
	}
	format := f.Format
	switch {
	case f.Quiet:
		return l.printIDs, nil
	case format == "json":
		return JSONLines[T], nil
	case format == "" || format == "table":
		return l.printTable, nil
	case !strings.Contains(format, "{{"):
		return nil, Usagef("--format %.60q: want table, json or a Go template", format)
	}
	var zero T
	t, err := ParseTemplate(format, zero)
	if err != nil {
		return nil, err
	}
	return func(w io.Writer, rows []T) error {
		for _, r := range rows {
			if err := t.Print(w, r); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// Print prints rows as f says.
func (l Listing[T]) Print(w io.Writer, f ListFlags, rows []T) error {
	print, err := l.Printer(f)
	if err != nil {
		return err
	}
	return print(w, rows)
}

func (l Listing[T]) printIDs(w io.Writer, rows []T) error {
	out := NewLines(w)
	for _, r := range rows {
		out.Printf("%s", l.ID(r))
	}
	return out.Err()
}

func (l Listing[T]) printTable(w io.Writer, rows []T) error {
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = l.Cells(r)
	}
	if l.Cut == "" {
		return Table(w, l.Header, cells)
	}
	return fitTable(w, l.Header, cells, l.Cut)
}
