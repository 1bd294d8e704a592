package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
)

// maxCPU bounds the numbers in a list: "0-4000000000" must be an error, not a long loop.
const maxCPU = 8191

// checkSet checks that the host has every cpu or memory node of a list such as 0-3,6.
func checkSet(flag, what, list string) error {
	if list == "" {
		return nil
	}
	want, err := parseSet(list)
	if err != nil {
		return fmt.Errorf("%s %.40q: %w", flag, list, err)
	}
	online := onlineCPUs
	if what != "cpu" {
		online = onlineMems
	}
	has, err := online()
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	have, err := parseSet(has)
	if err != nil {
		return fmt.Errorf("%s: parse the host's list %q: %w", flag, has, err)
	}
	for n := range maxCPU + 1 {
		if want[n] && !have[n] {
			return fmt.Errorf("%s %s: the host has no %s %d: choose from %s", flag, list, what, n, has)
		}
	}
	return nil
}

// parseSet reads the kernel's list format (cpuset(7), "List format").
func parseSet(list string) (map[int]bool, error) {
	set := make(map[int]bool)
	for _, part := range strings.Split(list, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || from > to || to > maxCPU {
			return nil, errors.New("want a list such as 0-3 or 0,2")
		}
		for n := from; n <= to; n++ {
			set[int(n)] = true
		}
	}
	return set, nil
}

// onlineCPUs returns the host's online cpus as a list.
func onlineCPUs() (string, error) { return readWord("/sys/devices/system/cpu/online") }

// onlineMems returns the host's memory nodes as a list; a kernel without NUMA has node 0.
func onlineMems() (string, error) {
	list, err := readWord("/sys/devices/system/node/online")
	if errors.Is(err, fs.ErrNotExist) {
		return "0", nil
	}
	return list, err
}

// readWord returns the content of a file without surrounding white space.
func readWord(path string) (string, error) {
	data, err := linux.ReadFile(path)
	return strings.TrimSpace(string(data)), err
}
