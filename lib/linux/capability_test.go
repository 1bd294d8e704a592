package linux

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestCapabilityNames compares the names with the kernel header, if it is installed.
func TestCapabilityNames(t *testing.T) {
	names := capabilityNames()
	if len(names) != 41 || names[0] != "CAP_CHOWN" || names[21] != "CAP_SYS_ADMIN" || names[40] != "CAP_CHECKPOINT_RESTORE" {
		t.Errorf("%d names", len(names))
	}
	data, err := os.ReadFile("/usr/include/linux/capability.h")
	if err != nil {
		t.Skip("capability.h is not installed: ", err)
	}
	for _, match := range regexp.MustCompile(`(?m)^#define\s+(CAP_\w+)\s+(\d+)\s*$`).FindAllStringSubmatch(string(data), -1) {
		var number int
		fmt.Sscan(match[2], &number)
		if number >= len(names) || names[number] != match[1] {
			t.Errorf("%s is %d", match[1], number)
		}
	}
}

func TestParseCapabilities(t *testing.T) {
	set, err := ParseCapabilities([]string{"CAP_CHOWN", "CAP_KILL", "CAP_CHECKPOINT_RESTORE", "CAP_KILL"})
	if err != nil || set != 1|1<<5|1<<40 {
		t.Errorf("%#x, %v", set, err)
	}
	for _, name := range []string{"", "CHOWN", "cap_chown", "CAP_NOTHING", strings.Repeat("C", 500)} {
		if _, err := ParseCapabilities([]string{name}); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}
