package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/state"
)

// call runs md-rootfs and returns its output and exit code.
func call(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	std := &cli.IO{In: strings.NewReader(stdin), Out: &out, Err: &errs}
	code = tool().Run(context.Background(), args, std)
	return out.String(), errs.String(), code
}

func TestErrorsAreOneLine(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(state.EnvRoot, filepath.Join(dir, "lib"))
	t.Setenv(state.EnvRun, filepath.Join(dir, "run"))
	tests := []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"mount"}, 2, "md-rootfs: mount: "},
		{[]string{"mount", "--nonsense", "x"}, 2, "--nonsense"},
		{[]string{"mount", "-s", "zfs", "busybox"}, 2, `md-rootfs: mount: storage driver "zfs": want overlay2, aufs or vfs`},
		{[]string{"mount", "busybox", "-v", "/a:/", "sh"}, 2, "destination must not be /"},
		{[]string{"mount", "busybox", "sh", "-v", "/a:/"}, 1, `image "busybox": not found (md-pull gets it)`},
		{[]string{"mount", "-t", "--tty=false", "--entrypoint", "", "-e", "A=b,c", "busybox", "--", "-x"}, 1, "not found"},
		{[]string{"mount", "--spec", "-", "busybox"}, 1, "no document"},
		{[]string{"umount", "../x"}, 1, `container "../x": not found`},
		{[]string{"path", "123456789abc"}, 1, "not found"},
		{[]string{"diff", ""}, 1, "not found"},
	}
	for _, tt := range tests {
		out, errs, code := call(t, "", tt.args...)
		if code != tt.code || out != "" || !strings.Contains(errs, tt.stderr) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: code %d, stdout %q, stderr %q", tt.args, code, out, errs)
		}
	}
	if _, errs, code := call(t, "", "umount", "123456789abc"); code != 0 || errs != "" {
		t.Errorf("umount of a missing root: %d, %q", code, errs)
	}
}
