package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// side is a command that does the work of a row.
type side struct {
	name   string
	argv   []string
	target float64 // of a peer: the largest ratio of mydocker's time to the peer's
}

// result compares mydocker with one peer. Figures are in the unit.
type result struct {
	Row    string  `json:"row"`
	Work   string  `json:"work"`
	Peer   string  `json:"peer"`
	Unit   string  `json:"unit"`
	Ours   figures `json:"ours"`
	Theirs figures `json:"theirs"`
	Ratio  float64 `json:"ratio"`        // of the medians
	Quiet  float64 `json:"quiet"`        // of the best
	Target float64 `json:"target"`       // largest Ratio, smallest if More
	More   bool    `json:"moreIsBetter"` // larger figures are better
	Met    bool    `json:"met"`
}

// figures summarize the runs of one side.
type figures struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	Best   float64 `json:"best"`
}

func summarize(samples []float64, moreIsBetter bool) figures {
	if len(samples) == 0 {
		return figures{}
	}
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	f := figures{N: n, Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Best: sorted[0]}
	if moreIsBetter {
		f.Best = sorted[n-1]
	}
	return f
}

// compare completes a result from the samples of both sides.
func compare(r result, ours, theirs []float64) result {
	r.Ours, r.Theirs = summarize(ours, r.More), summarize(theirs, r.More)
	if r.Theirs.Median > 0 {
		r.Ratio = r.Ours.Median / r.Theirs.Median
	}
	if r.Theirs.Best > 0 {
		r.Quiet = r.Ours.Best / r.Theirs.Best
	}
	if r.Met = r.Ratio <= r.Target; r.More {
		r.Met = r.Ratio >= r.Target
	}
	return r
}

// race runs all sides n times in turn, after a turn to warm up. The first side is mydocker.
func (h *host) race(work string, n int, sides ...side) ([]result, error) {
	if h.pairs > 0 {
		n = h.pairs
	}
	samples := make([][]float64, len(sides))
	for turn := -1; turn < n; turn++ {
		for k := range sides {
			i := (k + turn + 1) % len(sides) // the order changes with each turn
			ms, err := timed(sides[i].argv)
			if err != nil {
				return nil, err
			}
			if turn >= 0 {
				samples[i] = append(samples[i], ms)
			}
		}
	}
	var results []result
	for i, s := range sides[1:] {
		r := result{Work: work, Peer: s.name, Unit: "ms", Target: s.target}
		results = append(results, compare(r, samples[0], samples[i+1]))
	}
	return results, nil
}

// timed runs a command with output to /dev/null and returns the milliseconds that it took.
func timed(argv []string) (float64, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	file, err := os.CreateTemp("", "bench") // with a pipe Wait would wait for background processes too
	if err != nil {
		return 0, err
	}
	defer file.Close()
	defer os.Remove(file.Name())
	cmd.Stderr = file
	begin := time.Now()
	err = cmd.Run()
	ms := float64(time.Since(begin).Microseconds()) / 1000
	if err != nil {
		_, _ = file.Seek(0, 0)
		_, _ = stderr.ReadFrom(file)
		return 0, fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(stderr.String()))
	}
	return ms, nil
}

// do runs a command and returns its output without surrounding white space.
func do(argv ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
