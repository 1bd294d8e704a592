package spawn

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The names of processes are of the container's choice, and ps prints lines of few words for some.
func TestPS(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	says := func(text string) {
		script := "#!/bin/sh\ncat <<'END'\n" + text + "END\n"
		if err := os.WriteFile(filepath.Join(dir, "ps"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	says("UID  PID CMD\nroot   1 init\nroot  17 sh -c 4\n\nodd\nroot   4 x\n")
	lines, err := PS(context.Background(), []int{17, 99}, []string{"-ef"})
	if want := []string{"UID  PID CMD", "root  17 sh -c 4"}; err != nil || !reflect.DeepEqual(lines, want) {
		t.Errorf("%q, %v", lines, err)
	}
	says("CMD\ninit\n")
	if _, err := PS(context.Background(), []int{1}, []string{"-o", "cmd"}); err == nil || !strings.Contains(err.Error(), "no column PID") {
		t.Errorf("lines without a PID: %v", err)
	}
}
