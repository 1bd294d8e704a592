package spawn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// PS runs ps(1) of the host with options, and returns its heading and the lines of the given processes.
func PS(ctx context.Context, pids []int, options []string) ([]string, error) {
	var errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, "ps", options...)
	cmd.Stderr = &errOut
	text, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New("ps is not installed on this host: install procps")
	}
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(errOut.String()), "\n")
		return nil, fmt.Errorf("ps %s: %w: %s", strings.Join(options, " "), err, first)
	}
	header, lines, _ := strings.Cut(string(text), "\n")
	column := slices.Index(strings.Fields(header), "PID")
	if column < 0 {
		return nil, fmt.Errorf("ps %s: no column PID, by which the container's processes are found", strings.Join(options, " "))
	}
	kept := []string{header}
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line) // fewer if a process has a name of several lines, or none
		if len(fields) <= column {
			continue
		}
		if pid, err := strconv.Atoi(fields[column]); err == nil && slices.Contains(pids, pid) {
			kept = append(kept, strings.TrimSuffix(line, "\n"))
		}
	}
	return kept, nil
}
