package cli

import (
	"strings"
	"testing"
)

func TestTemplates(t *testing.T) {
	row := struct {
		Name string
		List []string
	}{"web", []string{"a", "b"}}
	for text, want := range map[string]string{
		`{{.Name}}\t{{.Name}}`:                "web\tweb",
		`{{.Name}}\n{{.Name}}`:                "web\nweb",
		`{{title .Name}}`:                     "Web",
		`{{title ""}}{{upper .Name}}`:         "WEB",
		`{{pad .Name 1 2}}|`:                  " web  |",
		`{{pad "" 1 2}}|`:                     "|",
		`{{truncate .Name 2}}`:                "we",
		`{{truncate .Name 9}}`:                "web",
		`{{truncate "äöü" 2}}`:                "äö",
		`{{join .List "+"}}`:                  "a+b",
		`{{range .List}}{{println .}}{{end}}`: "a\nb\n",
		`{{json .}}`:                          `{"Name":"web","List":["a","b"]}`,
	} {
		var out strings.Builder
		tpl, err := ParseTemplate(text, row)
		if err == nil {
			err = tpl.Print(&out, row)
		}
		if err != nil || out.String() != want+"\n" {
			t.Errorf("%s: %q, %v; want %q", text, out.String(), err, want)
		}
	}
}
