package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Table prints rows for people: columns three spaces apart, as in the README.
func Table(w io.Writer, header []string, rows [][]string) error {
	whole := bufio.NewWriter(w) // a tabwriter writes each cell, and each blank
	tw := tabwriter.NewWriter(whole, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, strings.Join(header, "\t"))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = OneLine(strings.ReplaceAll(cell, "\t", " "))
		}
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return errors.Join(tw.Flush(), whole.Flush())
}

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

// TemplateError says what is wrong with a user's Go template (--format) over a struct, without the names of our types.
func TemplateError(err error, over any) error {
	text, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "template: "), " in type ")
	if !UnknownField(err) {
		return fmt.Errorf("--format: %s", text)
	}
	_, field, _ := strings.Cut(text, "<")
	field, _, _ = strings.Cut(field, ">")
	var names []string
	for _, f := range reflect.VisibleFields(reflect.Indirect(reflect.ValueOf(over)).Type()) {
		if f.IsExported() && !f.Anonymous {
			names = append(names, "."+f.Name)
		}
	}
	return fmt.Errorf("--format: %s: no such field: it has %s", field, strings.Join(names, " "))
}

// UnknownField reports whether a template names a field that is not there, by the text: text/template has no error
// of its own for it.
func UnknownField(err error) bool { return strings.Contains(err.Error(), "can't evaluate field") }
