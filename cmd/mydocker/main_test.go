package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mainEnv in the environment makes the test program run main.
const mainEnv = "MYDOCKER_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// mydocker runs the program, which must not create its state directories.
func mydocker(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), mainEnv+"=1", "MYDOCKER_ROOT="+dir+"/lib", "MYDOCKER_RUN="+dir+"/run")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(dir + "/*"); left != nil {
		t.Errorf("mydocker %v created %v", args, left)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("MYDOCKER_MUST_RUN") != "" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

func readme(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name) // as in the project's first README
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestHelpIsTheREADMEs: to the letter, except for the list of later commands.
func TestHelpIsTheREADMEs(t *testing.T) {
	want := readme(t, "help.txt")
	for _, word := range []string{"-h", "--help", "help", "h"} {
		code, out, errOut := mydocker(t, word)
		head, rest, _ := strings.Cut(out, "MORE COMMANDS:\n")
		_, tail, _ := strings.Cut(rest, "\n\n")
		if code != 0 || head+tail != want || errOut != "" {
			t.Errorf("%s: %d, %s, %s\nwant %s", word, code, errOut, out, want)
		}
	}
}

// TestRunHelpIsTheREADMEs: to the letter. Later options follow in groups, each option in one of them.
func TestRunHelpIsTheREADMEs(t *testing.T) {
	want := strings.TrimSuffix(readme(t, "run-help.txt"), "\n")
	for _, args := range [][]string{{"run", "-h"}, {"run", "--help"}, {"help", "run"}} {
		if code, out, errOut := mydocker(t, args...); code != 0 || !strings.HasPrefix(out, want+"\n\nPROGRAM:\n") || errOut != "" {
			t.Errorf("%v: %d, %s, %s\nwant %s", args, code, errOut, out, want)
		}
	}
}

// TestOptionGroups: every option of the groups exists.
func TestOptionGroups(t *testing.T) {
	_, out, _ := mydocker(t, "run", "-h")
	for _, g := range optionGroups() {
		_, section, _ := strings.Cut(out, "\n"+g.Title+":\n")
		section, _, _ = strings.Cut(section, "\n\n")
		for _, name := range g.Options {
			if !strings.Contains("\n"+section, "\n   --"+name+" ") && !strings.Contains("\n"+section, "\n   --"+name+",") {
				t.Errorf("%s lacks --%s:\n%s", g.Title, name, section)
			}
		}
	}
}

// TestEveryCommandHasHelp: the help has a usage line that names the arguments, and needs no state.
func TestEveryCommandHasHelp(t *testing.T) {
	for _, command := range []string{
		"run", "ps", "logs", "exec", "stop", "start", "restart", "rm", "rmn", "rmi", "pull", "inspect", "networks", "images",
		"network create", "network list", "network inspect", "network rm", "network prune", "network reload", "network connect", "network disconnect", "image list", "image pull", "image rm",
		"image prune", "image tag", "image save", "image load", "volume create", "volume list", "volume rm", "volume prune",
		"attach", "create", "kill", "wait", "diff", "pause", "unpause", "update", "stats", "top", "port", "tag", "save", "load", "version", "info",
	} {
		code, out, errOut := mydocker(t, append(strings.Fields(command), "-h")...)
		if code != 0 || errOut != "" || !strings.HasPrefix(out, "NAME:\n   mydocker "+command+" - ") ||
			!strings.Contains(out, "\n\nUSAGE:\n   mydocker "+command) || strings.Contains(out, "[arguments...]") != (command == "run") {
			t.Errorf("%s: %d, %s\n%s", command, code, errOut, out)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, word := range []string{"--version", "-v"} {
		if code, out, errOut := mydocker(t, word); code != 0 || out != "mydocker version 0.0.0\n" || errOut != "" {
			t.Errorf("%s: %d, %q, %q", word, code, out, errOut)
		}
	}
}

// TestVersionAndInfo: lines, JSON and templates with docker's names, of a host without anything of ours.
func TestVersionAndInfo(t *testing.T) {
	tests := []struct {
		args []string
		code int
		out  string // a pattern
		err  string // the beginning
	}{
		{[]string{"version"}, 0, `(?s)^Client version: 0\.0\.0\nServer version: 0\.0\.0 .*\nGo version: go1\..*\nKernel: [0-9]+\..*\nCgroup version: [12]?\nStorage driver: overlay2\nSeccomp: (yes|no)\n.*IPv6: (yes|no)\n$`, ""},
		{[]string{"version", "--format", "{{.Server.Version}} {{.Client.Version}} {{.Client.Os}}"}, 0, `^0\.0\.0 0\.0\.0 linux\n$`, ""},
		{[]string{"version", "--format", "json"}, 0, `^\{"Client":\{"Version":"0\.0\.0",.*"Server":\{.*"KernelVersion":".*\}\n$`, ""},
		{[]string{"version", "--format", "{{.Nothing}}"}, 2, `^$`, "mydocker: version: --format: .Nothing: no such field: it has .Client .Server"},
		{[]string{"version", "--format", "text"}, 2, `^$`, "mydocker: version: --format \"text\": want json or a Go template"},
		{[]string{"info"}, 0, `(?s)^Containers: 0\n Running: 0\n Paused: 0\n Stopped: 0\nImages: 0\nServer Version: 0\.0\.0\n.*\nCPUs: [1-9].*\nTotal Memory: [0-9.]+GiB\n.*\nRoot Dir: /.*/lib\n$`, ""},
		{[]string{"info", "--format", "{{.Driver}} {{.CgroupDriver}} {{.Containers}} {{.OSType}}"}, 0, `^overlay2 cgroupfs 0 linux\n$`, ""},
		{[]string{"info", "--format", "{{json .Warnings}}"}, 0, `^\[.*\]\n$`, ""},
		{[]string{"info", "--format", "json"}, 0, `^\{"Containers":0,.*"ServerVersion":"0\.0\.0".*\}\n$`, ""},
	}
	for _, tt := range tests {
		if tt.args[0] == "info" {
			requireRoot(t)
		}
		code, out, errOut := mydocker(t, tt.args...)
		if tt.args[0] == "info" && tt.code == 0 {
			errOut = "" // warnings about the host
		}
		if code != tt.code || !regexp.MustCompile(tt.out).MatchString(out) || !strings.HasPrefix(errOut, tt.err) || tt.err == "" && errOut != "" {
			t.Errorf("%q: %d, %s, %s\nwant %d %s %s", tt.args, code, out, errOut, tt.code, tt.out, tt.err)
		}
	}
}

// TestWrongUsage: one line on standard error, the exit code of the table in lib/spec, and no state.
func TestWrongUsage(t *testing.T) {
	type usage struct {
		args string
		code int
		err  string
	}
	tests := []usage{
		{"nothing", 2, `mydocker: unknown command "nothing"`},
		{"network nothing", 2, `mydocker: network: unknown command "nothing"`},
		{"ps --nothing", 2, "mydocker: ps: unknown flag --nothing"},
		{"logs", 2, "mydocker: logs: "},
		{"stop", 2, "mydocker: stop: "},
		{"stop -t soon x", 2, "mydocker: stop: --time: "},
		{"network connect a", 2, "mydocker: network connect: "},
		{"run --nothing busybox", 125, "mydocker: run: unknown flag --nothing"},
		{"exec x", 125, "mydocker: exec: "},
	}
	if os.Getuid() == 0 { // without root the first error is that root is needed
		tests = append(tests, []usage{
			{"ps --filter colour=red", 2, "mydocker: ps: --filter "},
			{"ps --format x", 2, "mydocker: ps: --format "},
			{"logs --tail -3 x", 2, "mydocker: logs: --tail: "},
			{"logs --since never x", 2, "mydocker: logs: --since: "},
		}...)
	}
	for _, tt := range tests {
		code, out, errOut := mydocker(t, strings.Fields(tt.args)...)
		if code != tt.code || out != "" || !strings.HasPrefix(errOut, tt.err) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: %d, %q, %q", tt.args, code, out, errOut)
		}
	}
}

// TestNotFound: the error names the object, and each of several missing objects has its own line.
func TestNotFound(t *testing.T) {
	requireRoot(t)
	tests := []struct {
		args string
		code int
		err  string
	}{
		{"logs web", 1, "mydocker: logs web: container \"web\": not found\n"},
		{"exec web true", 125, "mydocker: exec web: container \"web\": not found\n"},
		{"stop -t -1 a b", 1, "mydocker: stop a: container \"a\": not found\nmydocker: stop b: container \"b\": not found\n"},
		{"start a", 1, "mydocker: start a: container \"a\": not found\n"},
		{"restart a", 1, "mydocker: restart a: container \"a\": not found\n"},
		{"rm a", 1, "mydocker: rm a: container \"a\": not found\n"},
		{"rm -f a", 0, "mydocker: warning: no such container: a\n"},
		{"inspect a", 1, "mydocker: inspect a: not found: no container, image, network or volume has this name\n"},
		{"ps", 0, ""},
		{"images", 0, ""},
	}
	for _, tt := range tests {
		if code, _, errOut := mydocker(t, strings.Fields(tt.args)...); code != tt.code || errOut != tt.err {
			t.Errorf("%s: %d, %q", tt.args, code, errOut)
		}
	}
}
