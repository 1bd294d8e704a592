package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

func TestPlainLines(t *testing.T) {
	ref, err := image.ParseReference("mysql:5.7.25")
	if err != nil {
		t.Fatal(err)
	}
	events := []image.Event{{Status: image.Started}, {Status: image.Exists, Layer: "aaaaaaaaaaaa"}, {Status: image.Waiting, Layer: "bbbbbbbbbbbb"},
		{Status: image.Downloading, Layer: "bbbbbbbbbbbb"}, {Status: image.Complete, Layer: "bbbbbbbbbbbb"}}
	for quiet, want := range map[bool]string{
		true:  "sha256:1\n",
		false: "5.7.25: Pulling from library/mysql\naaaaaaaaaaaa: Already exists\nbbbbbbbbbbbb: Pulling fs layer\nbbbbbbbbbbbb: Pull complete\nDigest: sha256:1\nStatus: Downloaded newer image for mysql:5.7.25\n",
	} {
		var out bytes.Buffer
		s := newScreen(&out, ref, quiet)
		for _, e := range events {
			s.event(e)
		}
		s.close()
		if err := s.result(&image.Result{Image: &image.Image{Digest: "sha256:1"}, New: true}); err != nil || out.String() != want {
			t.Errorf("quiet %v: %v, got\n%s", quiet, err, out.String())
		}
	}
}

// TestTerminal: a drawing fits the width and the height of the terminal.
func TestTerminal(t *testing.T) {
	master, slave, _, err := linux.OpenPTY("/dev/ptmx")
	if err != nil {
		t.Skip("open a pseudoterminal: ", err)
	}
	defer master.Close()
	defer slave.Close()
	if err := linux.SetWindowSize(slave, linux.WindowSize{Rows: 5, Cols: 40}); err != nil {
		t.Fatal(err)
	}
	out := &bytes.Buffer{}
	s := newScreen(out, image.Reference{}, false)
	s.tty = slave
	for i := range 20 {
		s.event(image.Event{Status: image.Downloading, Layer: "aaaaaaaaaaaa", Index: i, Current: 1 << 30, Total: 10 << 30})
	}
	s.draw()
	s.draw()
	if n := strings.Count(out.String(), "\n"); n != 8 {
		t.Errorf("%d lines in two drawings of a terminal of 5", n)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if text := line[strings.LastIndex(line, "K")+1:]; len(text) > 39 {
			t.Errorf("%q is too wide", line)
		}
	}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(state.EnvRoot, filepath.Join(dir, "root"))
	t.Setenv(state.EnvRun, filepath.Join(dir, "run"))
	var out, errs bytes.Buffer
	tool := cli.Tool{Name: "md-pull", Commands: []cli.Command{{New: cli.New[pull]}}}
	for arg, want := range map[string]int{"Bad": 2, "ocidir:/none": 1, "-": 1} {
		out.Reset()
		errs.Reset()
		code := tool.Run(context.Background(), []string{arg}, &cli.IO{In: strings.NewReader("x"), Out: &out, Err: &errs})
		if code != want || out.Len() != 0 || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", arg, code, out.String(), errs.String())
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "root/images")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
