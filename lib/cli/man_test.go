package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// sample returns a tool with a command of every kind.
func sample() Tool {
	return Tool{
		Name:    "md-sample",
		Summary: "md-sample is a sample.\nMore words.",
		Doc: `// md-sample is for tests.
//
// .leading dot, back\slash and "quotes".
//
// # Examples
//
//	md-sample run -- 'a b' | cat
//
// # Environment
//
// SAMPLE is read too.
package main

// not in the page
`,
		Groups: []Group{{Name: "thing", Summary: "Manage things"}},
		Commands: []Command{
			{Name: "run", Summary: "Run it", Failure: ExitOurs, New: func() Runner { return &sampleRun{} }},
			{Name: "thing rm", Aliases: []string{"thing remove"}, Summary: "Remove things", New: func() Runner { return &sampleRemove{} }},
			{Name: "secret", Summary: "Not shown", Hidden: true, New: func() Runner { return &sampleRemove{} }},
		},
	}
}

type sampleRun struct {
	Publish []string `short:"p" aliases:"pub" help:"Publish ports"`
	Driver  string   `enum:"one,two" default:"one" help:"A driver"`
	Quiet   bool     `short:"q" help:"Say little"`
	Secret  string   `hidden:"" help:"Not shown"`
	Command []string `arg:"" passthrough:"partial"`
}

func (*sampleRun) Run(context.Context, *IO) error { return nil }

type sampleRemove struct {
	Things []string `arg:"" name:"signal"`
}

func (*sampleRemove) Run(context.Context, *IO) error { return nil }

func manOf(t *testing.T, tool Tool, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := tool.Run(context.Background(), append([]string{"--man"}, args...), &IO{Out: &out, Err: &errs}); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	return out.String()
}

func TestManPageHasWhatTheTableHas(t *testing.T) {
	page := manOf(t, sample())
	for _, want := range []string{
		`.TH "MD\-SAMPLE" 1 `,
		"\nmd\\-sample \\- a sample\n",
		"\n\\fBmd\\-sample run\\fR [command options] COMMAND [ARG...]\n",
		"\n\\fBmd\\-sample thing rm\\fR SIGNAL...\n",
		"\n.TP\n\\fB\\-\\-publish\\fR \\fIvalue\\fR, \\fB\\-p\\fR \\fIvalue\\fR, \\fB\\-\\-pub\\fR \\fIvalue\\fR\nPublish ports\n",
		"Also: thing remove.\n",
		"; 125\nfor an error of mydocker",
		"\nmd\\-sample run: the program",
		"\n.SH \"EXAMPLES\"\n.RS 4\n.nf\nmd\\-sample run \\-\\- \\(aqa b\\(aq | cat\n.fi\n",
		"\n\\&.leading dot, back\\eslash and \\(dqquotes\\(dq.\n",
		`\fBmd\-pipeline\fR(7)`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if i := strings.Index(page, "MYDOCKER_ROOT"); i < 0 || strings.Index(page, "SAMPLE is read") < i {
		t.Errorf("the environment of the family and that of the tool are not in one section:\n%s", page)
	}
	for _, not := range []string{"ecret", "not in the page", "More words"} {
		if strings.Contains(page, not) {
			t.Errorf("the page has %q:\n%s", not, page)
		}
	}
}

func TestManPageOfThePipeline(t *testing.T) {
	page := manOf(t, sample(), "md-pipeline")
	for _, want := range []string{`.TH "MD\-PIPELINE" 7 `, `.SH "CONTRACT"`, "\n.IP \"9.\" 4\n", "md\\-rootfs mount busybox \\e\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "Package spec") {
		t.Errorf("the page has the text for readers of the code:\n%s", page)
	}
}

func TestManPageUnknown(t *testing.T) {
	var out, errs bytes.Buffer
	if code := sample().Run(context.Background(), []string{"--man", "other"}, &IO{Out: &out, Err: &errs}); code != ExitUsage || out.Len() > 0 {
		t.Errorf("exit %d, %q on standard output", code, out.String())
	}
}
