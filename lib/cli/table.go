package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table prints rows for people: columns three spaces apart, as in the README.
func Table(w io.Writer, header []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, strings.Join(header, "\t"))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = OneLine(strings.ReplaceAll(cell, "\t", " "))
		}
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// JSONLines prints values for programs: one JSON object per line.
func JSONLines[T any](w io.Writer, values []T) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// JSON prints one value, indented as in the README's inspect.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "    ")
	return enc.Encode(v)
}

// TemplateError says what is wrong with a user's Go template (--format), without the names of our types.
func TemplateError(err error) error {
	text, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "template: "), " in type ")
	return fmt.Errorf("--format: %s", text)
}
