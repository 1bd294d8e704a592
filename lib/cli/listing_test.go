package cli

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/weikeit/mydocker/lib/linux"
)

type sampleRow struct {
	Name    string `json:"name"`
	IPs     []string
	Command string
}

func samples() Listing[sampleRow] {
	return Listing[sampleRow]{
		Header: []string{"NAME", "COMMAND", "END"}, Cells: func(r sampleRow) []string { return []string{r.Name, r.Command, "."} },
		ID: func(r sampleRow) string { return r.Name }, Cut: "COMMAND",
	}
}

// TestListing prints rows in each format. Errors about a template name no Go types, and do not depend on the rows.
func TestListing(t *testing.T) {
	rows := []sampleRow{{Command: "true", Name: "web", IPs: []string{"10.20.30.2"}}}
	tests := []struct{ name, format, out, bad string }{
		{"the table", "", "NAME   COMMAND   END\nweb    true      .\n", ""},
		{"JSON", "json", `{"name":"web","IPs":["10.20.30.2"],"Command":"true"}` + "\n", ""},
		{"a field", "{{.Name}}", "web\n", ""},
		{"an element of a list", "{{index .IPs 0}}", "10.20.30.2\n", ""},
		{"no such field", "{{.Nope}}", "", "no such field: it has .Name .IPs "},
		{"no such field, in a branch that is not taken", "{{if .Name}}{{.Nope}}{{end}}", "", "no such field"},
		{"unclosed", "{{", "", "unclosed action"},
		{"no template", "csv", "", "want table, json or a Go template"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			show, err := samples().Printer(ListFlags{Format: tt.format})
			if err == nil {
				err = show(&out, rows)
			}
			switch {
			case tt.bad == "" && err != nil:
				t.Error(err)
			case tt.bad != "" && (err == nil || !strings.Contains(err.Error(), tt.bad)):
				t.Errorf("error %v, want %q", err, tt.bad)
			case err != nil && strings.Contains(err.Error(), "sampleRow"):
				t.Errorf("error %v names a Go type", err)
			}
			if out.String() != tt.out {
				t.Errorf("printed %q, want %q", out.String(), tt.out)
			}
		})
	}
}

func TestListingOfIDs(t *testing.T) {
	var out bytes.Buffer
	show, err := samples().Printer(ListFlags{Quiet: true})
	if err != nil || show(&out, []sampleRow{{Name: "web"}, {Name: "db"}}) != nil || out.String() != "web\ndb\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestListingOnAFullDisk(t *testing.T) {
	for _, f := range []ListFlags{{}, {Quiet: true}, {Format: "json"}, {Format: "{{.Name}}"}} {
		show, err := samples().Printer(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := show(full{}, []sampleRow{{}}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// TestListingFitsTheTerminal: only a terminal cuts the column, to the width that the others leave, but not below that
// of its header.
func TestListingFitsTheTerminal(t *testing.T) {
	master, slave, _, err := linux.OpenPTY("/dev/ptmx")
	if err != nil {
		t.Skip("open a pseudoterminal: ", err)
	}
	defer master.Close()
	defer slave.Close()
	rows := []sampleRow{{Name: "web", Command: "[sh -c größer]"}, {Name: "db", Command: "[true]"}}
	for _, tt := range []struct {
		columns uint16
		flags   ListFlags
		want    string
	}{
		{100, ListFlags{}, "NAME   COMMAND          END\nweb    [sh -c größer]   .\ndb     [true]           .\n"},
		{22, ListFlags{}, "NAME   COMMAND     END\nweb    [sh -c...   .\ndb     [true]      .\n"},
		{5, ListFlags{}, "NAME   COMMAND   END\nweb    [sh ...   .\ndb     [true]    .\n"},
		{5, ListFlags{NoTrunc: true}, "NAME   COMMAND          END\nweb    [sh -c größer]   .\ndb     [true]           .\n"},
	} {
		if err := linux.SetWindowSize(slave, linux.WindowSize{Rows: 24, Cols: tt.columns}); err != nil {
			t.Fatal(err)
		}
		if got := shown(t, master, slave, tt.flags, rows); got != tt.want {
			t.Errorf("%d columns, %+v: got\n%swant\n%s", tt.columns, tt.flags, got, tt.want)
		}
	}
}

// shown prints rows to a terminal and returns what its master reads.
func shown(t *testing.T, master, slave *os.File, f ListFlags, rows []sampleRow) string {
	t.Helper()
	show, err := samples().Printer(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := show(slave, rows); err != nil {
		t.Fatal(err)
	}
	// A read of a terminal may return a part of what was written.
	var text string
	data := make([]byte, 4096)
	for strings.Count(text, "\n") < 1+len(rows) {
		n, err := master.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		text += strings.ReplaceAll(string(data[:n]), "\r", "")
	}
	return text
}
