package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/spec"
)

// call runs md-spawn as an engine does, and returns its streams and exit code.
func call(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	std := &cli.IO{In: strings.NewReader(stdin), Out: &out, Err: &errs}
	code = tool().Run(context.Background(), args, std)
	return out.String(), errs.String(), code
}

// ended writes the record of a container whose first process is gone, as an earlier release would leave it, and returns
// --root.
func ended(t *testing.T, id string) string {
	t.Helper()
	root := t.TempDir()
	s := spec.New("")
	s.LinuxPart().CgroupsPath = "/mydocker/test-" + id
	config, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]any{
		"id": id, "bundle": "/of/the/engine", "config": json.RawMessage(config), "created": "2024-01-01T00:00:00Z",
		"init": map[string]any{"pid": 1, "start": 1, "boot": "of another boot"},
	})
	if err == nil {
		err = os.Mkdir(filepath.Join(root, id), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(root, id, "bundle.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestListsOfAnEngine(t *testing.T) {
	root := ended(t, "box")
	var list []map[string]any
	out, errs, code := call(t, "", "--root", root, "list", "-f", "json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list) != 1 {
		t.Fatalf("code %d, %v, stdout %s, stderr %s", code, err, out, errs)
	}
	for key, want := range map[string]any{"id": "box", "status": "stopped", "pid": 0.0, "bundle": "/of/the/engine"} {
		if list[0][key] != want {
			t.Errorf("%s: %v, want %v", key, list[0][key], want)
		}
	}
	if out, _, _ := call(t, "", "--root", root, "list", "-q"); out != "box\n" {
		t.Errorf("list -q: %q", out)
	}
	if out, _, code := call(t, "", "--root="+root+"/nothing", "list", "-f", "json"); out != "[]\n" || code != 0 {
		t.Errorf("a missing root: code %d, %q", code, out)
	}
}

// Engines look for these words in the error, and show the last line of the log.
func TestErrorsOfAnEngine(t *testing.T) {
	root := ended(t, "box")
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"state", "nothing"}, 1, "container does not exist"},
		{[]string{"delete", "nothing"}, 1, "container does not exist"},
		{[]string{"kill", "box", "KILL"}, 1, "container not running"},
		{[]string{"exec", "box", "true"}, 125, "container not running"},
		{[]string{"start", "box"}, 1, "stopped"},
		{[]string{"pause", "box"}, 1, "stopped"},
		{[]string{"update", "--memory", "64m", "box"}, 1, "stopped"},
		{[]string{"events", "--stats", "box"}, 1, "container not running"},
		{[]string{"state", "../box"}, 1, "want letters"},
	} {
		log := filepath.Join(t.TempDir(), "log.json")
		args := append([]string{"--root", root, "--log", log, "--log-format", "json", "--systemd-cgroup"}, tt.args...)
		out, errs, code := call(t, "", args...)
		if code != tt.code || out != "" || !strings.Contains(errs, tt.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: code %d, stdout %q, stderr %q; want %d, %q", tt.args, code, out, errs, tt.code, tt.want)
		}
		var line struct{ Level, Msg string }
		data, err := os.ReadFile(log)
		if err == nil {
			err = json.Unmarshal(data, &line)
		}
		if err != nil || line.Level != "error" || !strings.Contains(line.Msg, tt.want) {
			t.Errorf("%q: log %s: %v", tt.args, data, err)
		}
	}
	if _, errs, code := call(t, "", "--root", root, "delete", "--force", "nothing"); code != 0 || errs != "" {
		t.Errorf("delete --force of nothing: %d, %q", code, errs)
	}
}

func TestUsageOfAnEngine(t *testing.T) {
	for want, args := range map[string][]string{
		"containers without root": {"--rootless", "true", "list"},
		"unknown option":          {"--criu", "x", "list"},
		`command "checkpoint"`:    {"checkpoint", "box"},
		"needs a value":           {"--root"},
		"--format":                {"list", "-f", "yaml"},
	} {
		if out, errs, code := call(t, "", args...); code != 2 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%q: code %d, stdout %q, stderr %q", args, code, out, errs)
		}
	}
}

func TestResourcesOfAnUpdate(t *testing.T) {
	c := &update{Resources: "-"}
	r, err := c.resources(strings.NewReader(`{"memory": {"limit": 7}, "pids": {"limit": 8}}`))
	if err != nil || *r.Memory.Limit != 7 || *r.Pids.Limit != 8 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.resources(strings.NewReader("{")); err == nil || !strings.Contains(err.Error(), "read linux.resources") {
		t.Errorf("half a document: %v", err)
	}
	if _, err := (&update{Resources: "/no/where"}).resources(nil); err == nil {
		t.Error("a missing file is read")
	}
}

func TestNamesOfStatistics(t *testing.T) {
	limit := uint64(64)
	s := cgroup.Stats{Memory: &cgroup.MemStats{Usage: 5, Limit: &limit}}
	data, err := json.Marshal(runcStats(s))
	if want := `"usage":{"failcnt":0,"limit":64,"max":0,"usage":5}`; err != nil || !strings.Contains(string(data), want) {
		t.Errorf("%s, want %s", data, want)
	}
	if strings.Contains(string(data), "cpu") {
		t.Errorf("statistics of a missing controller: %s", data)
	}
}
