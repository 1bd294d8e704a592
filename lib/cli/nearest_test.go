package cli

import (
	"bytes"
	"context"
	"testing"
)

func TestUnknownWords(t *testing.T) {
	tool := Tool{
		Name:      "tool",
		Groups:    []Group{{Name: "network", Summary: "Networks"}},
		Commands:  []Command{{Name: "run"}, {Name: "rmi"}, {Name: "restart"}, {Name: "network create"}, {Name: "inspect", Aliases: []string{"network inspect"}}},
		Elsewhere: map[string]string{"swarm": "there are no clusters", "network attach": "use connect"},
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"rnu"}, "tool: unknown command \"rnu\": did you mean run? (see 'tool --help')\n"},
		{[]string{"restrat"}, "tool: unknown command \"restrat\": did you mean restart? (see 'tool --help')\n"},
		{[]string{"networks"}, "tool: unknown command \"networks\": did you mean network? (see 'tool --help')\n"},
		{[]string{"network", "crate"}, "tool: network: unknown command \"crate\": did you mean create? (see 'tool network --help')\n"},
		{[]string{"network", "inspct"}, "tool: network: unknown command \"inspct\": did you mean inspect? (see 'tool network --help')\n"},
		{[]string{"nothing"}, "tool: unknown command \"nothing\" (see 'tool --help')\n"},
		{[]string{"x"}, "tool: unknown command \"x\" (see 'tool --help')\n"},
		{[]string{"swarm", "init"}, "tool: there is no command swarm: there are no clusters\n"},
		{[]string{"network", "attach"}, "tool: there is no command network attach: use connect\n"},
	} {
		var out, errOut bytes.Buffer
		code := tool.Run(context.Background(), c.args, &IO{Out: &out, Err: &errOut})
		if code != ExitUsage || errOut.String() != c.want || out.Len() > 0 {
			t.Errorf("%v: %d, %q, want %q", c.args, code, errOut.String(), c.want)
		}
	}
}
