package linux

import (
	"os"
	"os/exec"
	"testing"
)

func TestRlimitNumbers(t *testing.T) {
	for name, want := range map[string]int{"RLIMIT_CPU": 0, "RLIMIT_NOFILE": 7, "RLIMIT_RTTIME": 15} {
		if got, ok := RlimitNumber(name); got != want || !ok {
			t.Errorf("%s: %d, %v", name, got, ok)
		}
	}
	if _, ok := RlimitNumber("NOFILE"); ok {
		t.Error("NOFILE is accepted")
	}
}

// TestOpenFilesLimit: Go raises the limit before any code of ours runs.
func TestOpenFilesLimit(t *testing.T) {
	if os.Getenv("LIMIT_TEST") != "" {
		soft, hard := OpenFilesLimit()
		if soft != 50 || hard != 60 {
			t.Errorf("%d, %d", soft, hard)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", "ulimit -Sn 50; ulimit -Hn 60; exec "+self+" -test.run TestOpenFilesLimit")
	cmd.Env = append(os.Environ(), "LIMIT_TEST=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
