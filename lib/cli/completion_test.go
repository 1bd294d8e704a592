package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	for name, tc := range map[string]struct{ line, want string }{
		"commands":                         {"", "run thing help"},
		"the beginning of one":             {"r", "run"},
		"global options":                   {"-", "--debug --help -h --version -v"},
		"one of them":                      {"--d", "--debug"},
		"after a global option":            {"--debug t", "thing"},
		"a group's commands":               {"thing ", "rm help"},
		"help of a command":                {"help r", "run"},
		"an option":                        {"run --p", "--publish --pub"},
		"all options":                      {"run -", "--publish -p --pub --driver --quiet -q --debug --help -h --version"},
		"a value":                          {"run --driver ", "one two"},
		"a value with =":                   {"run --driver=t", "--driver=two"},
		"a value of any kind":              {"run -p ", ""},
		"after a value":                    {"run -p 80:80 --q", "--quiet"},
		"an argument":                      {"run --quiet ", ":commands"},
		"a program's arguments":            {"run -q -- make --q", ":files"},
		"a program's own options":          {"run make --q", ":files"},
		"an argument of a group's command": {"thing rm SIGK", "SIGKILL"},
		"the second of a list":             {"thing rm SIGKILL SIGT", "SIGTERM"},
		"an unknown command":               {"nothing ", ""},
		"an unknown command of a group":    {"thing nothing ", ""},
		"a hidden command":                 {"s", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			args := append([]string{"--complete"}, strings.Split(tc.line, " ")...)
			if code := sample().Run(context.Background(), args, &IO{Out: &out}); code != 0 {
				t.Fatalf("exit %d", code)
			}
			var words []string
			for line := range strings.Lines(out.String()) {
				word, _, _ := strings.Cut(line, "\t")
				words = append(words, word)
			}
			if got := strings.Join(words, " "); got != tc.want {
				t.Errorf("%q goes on with %q, want %q", tc.line, got, tc.want)
			}
		})
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out bytes.Buffer
		code := sample().Run(context.Background(), []string{"--completion", shell}, &IO{Out: &out})
		if code != 0 || !strings.Contains(out.String(), "md-sample") || strings.Contains(out.String(), "@tool@") {
			t.Errorf("%s: exit %d:\n%s", shell, code, out.String())
		}
	}
	for _, args := range [][]string{{"--completion"}, {"--completion", "tcsh"}} {
		var out, errs bytes.Buffer
		if code := sample().Run(context.Background(), args, &IO{Out: &out, Err: &errs}); code != ExitUsage || out.Len() > 0 {
			t.Errorf("%q: exit %d, %q on standard output", args, code, out.String())
		}
	}
}
