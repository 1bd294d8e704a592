package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"
)

// Template is a user's Go template (--format), which prints one line for a value.
type Template struct{ parsed *template.Template }

// ParseTemplate parses a template. If over is not nil, the template is for values of its type, and a field that the
// type does not have is an error.
func ParseTemplate(text string, over any) (*Template, error) {
	text = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(text) // shells pass them on as two characters; docker does the same
	parsed, err := template.New("").Funcs(templateFunctions()).Parse(text)
	if err != nil {
		return nil, &usageError{templateError(err, over)}
	}
	if over != nil {
		// Other errors depend on the value: an index into a list, for example.
		if err := parsed.Execute(io.Discard, over); err != nil && unknownField(err) {
			return nil, &usageError{templateError(err, over)}
		}
	}
	return &Template{parsed}, nil
}

// templateFunctions returns docker's functions for templates (its documentation, "Format command and log output").
func templateFunctions() template.FuncMap {
	return template.FuncMap{
		"json": toJSON, "join": strings.Join, "split": strings.Split, "lower": strings.ToLower, "upper": strings.ToUpper,
		"title": title, "pad": pad, "truncate": truncate,
	}
}

func title(text string) string {
	if text == "" {
		return text
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToTitle(first)) + text[size:]
}

// pad adds spaces before and after a text that is not empty.
func pad(text string, before, after int) string {
	if text == "" {
		return text
	}
	return strings.Repeat(" ", max(before, 0)) + text + strings.Repeat(" ", max(after, 0))
}

// truncate returns the first n characters.
func truncate(text string, n int) string {
	runes := []rune(text)
	return string(runes[:min(max(n, 0), len(runes))])
}

func toJSON(value any) (string, error) {
	data, err := json.Marshal(value)
	return string(data), err
}

// Print prints the line for a value.
func (t *Template) Print(w io.Writer, value any) error {
	var line strings.Builder
	if err := t.parsed.Execute(&line, value); err != nil {
		return templateError(err, value)
	}
	_, err := fmt.Fprintln(Screen(w), line.String())
	return err
}

// templateError returns an error of text/template without the names of our types.
func templateError(err error, over any) error {
	text, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "template: "), " in type ")
	if !unknownField(err) {
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

// unknownField reports whether a template names a field that does not exist. text/template has no error of its own for
// that, so it compares the text.
func unknownField(err error) bool { return strings.Contains(err.Error(), "can't evaluate field") }
