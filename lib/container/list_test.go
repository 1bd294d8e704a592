package container

import (
	"strings"
	"testing"
)

// What is wrong with a template is told in the user's terms, whether or not there are containers.
func TestFormat(t *testing.T) {
	rows := []Row{{Name: "web", IPs: []string{"10.20.30.2"}}}
	tests := []struct{ name, format, out, bad string }{
		{"a field", "{{.Name}}", "web\n", ""},
		{"of a list", "{{index .IPs 0}}", "10.20.30.2\n", ""},
		{"no such field", "{{.Nope}}", "", "no such field: it has .ID .Name "},
		{"no such field of nothing", "{{if .Name}}{{.Nope}}{{end}}", "", "no such field"},
		{"open", "{{", "", "unclosed action"},
		{"no template", "csv", "", "want table, json or a Go template"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			show, err := parseFormat(ListOptions{Format: tt.format})
			if err == nil {
				err = show(&out, rows)
			}
			switch {
			case tt.bad == "" && err != nil:
				t.Error(err)
			case tt.bad != "" && (err == nil || !strings.Contains(err.Error(), tt.bad)):
				t.Errorf("error %v, want %q", err, tt.bad)
			case err != nil && strings.Contains(err.Error(), "container.Row"):
				t.Errorf("error %v names a type of ours", err)
			}
			if out.String() != tt.out {
				t.Errorf("printed %q, want %q", out.String(), tt.out)
			}
		})
	}
}
