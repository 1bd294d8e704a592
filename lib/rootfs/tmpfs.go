package rootfs

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// tmpfsOption is a --tmpfs option.
type tmpfsOption struct {
	destination string
	options     []string
}

// parseTmpfs parses DESTINATION[:OPTION,…]. Options are those of tmpfs(5) and the generic ones of mount(8). The defaults
// are nosuid, nodev, noexec and the kernel's size limit.
func parseTmpfs(word string) (tmpfsOption, error) {
	place, options, _ := strings.Cut(word, ":")
	destination, err := checkDestination(place)
	if err != nil {
		return tmpfsOption{}, err
	}
	t := tmpfsOption{destination: destination, options: []string{"nosuid", "nodev", "noexec"}}
	if options == "" {
		return t, nil
	}
	for _, option := range strings.Split(options, ",") {
		if !isTmpfsOption(option) {
			return tmpfsOption{}, fmt.Errorf("option %.80q: not a tmpfs option", option)
		}
		t.options = slices.DeleteFunc(t.options, func(o string) bool { return o == option || o == "no"+option })
		t.options = append(t.options, option)
	}
	return t, nil
}

func isTmpfsOption(option string) bool {
	if key, value, valued := strings.Cut(option, "="); valued {
		known := slices.Contains([]string{"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks"}, key)
		return known && value != "" && strings.Trim(value, "0123456789kKmMgG%") == ""
	}
	return slices.Contains([]string{
		"ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync",
		"noatime", "relatime", "strictatime", "nodiratime",
	}, option)
}

func (t tmpfsOption) mount() specs.Mount {
	return specs.Mount{Destination: t.destination, Type: "tmpfs", Source: "tmpfs", Options: t.options}
}
