package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// point holds the time of commands beside a number of running containers.
type point struct {
	Running int                `json:"running"`
	Median  map[string]float64 `json:"median"` // ms, by command
	Best    map[string]float64 `json:"best"`
}

// scaleRow starts up to 500 containers on one network and times commands at some steps. crun, which does not
// know the containers, shows the kernel's cost of that many processes, mounts and namespaces.
func scaleRow(h *host) (results []result, err error) {
	bundle, err := h.bundle("true", "true")
	if err != nil {
		return nil, err
	}
	if _, err := do("mydocker", "network", "create", "-s", "10.99.0.0/20", "scale"); err != nil {
		return nil, err
	}
	defer func() {
		_, rmErr := do("sh", "-c", "mydocker rm -f $(mydocker ps -q) && mydocker rmn scale")
		if err == nil {
			err = rmErr
		}
	}()
	steps := []int{1, 100, 200, 300, 400, 500}
	samples := make([]map[string][]float64, len(steps))
	running := 0
	for i, step := range steps {
		for ; running < step; running++ {
			if _, err := do(scaled("-d", "--name", "scale"+strconv.Itoa(running+1))...); err != nil {
				return nil, err
			}
		}
		if samples[i], err = h.step(bundle); err != nil {
			return nil, err
		}
		h.curve = append(h.curve, summaryOf(step, samples[i]))
		fmt.Fprintf(os.Stderr, "bench: scale: %d running\n", step)
	}
	last := len(steps) - 1
	for _, command := range []string{"run", "exec", "start", "stop", "rm"} {
		r := result{Work: command + " beside 500", Peer: "beside 1", Unit: "ms", Target: 1.3}
		results = append(results, compare(r, samples[last][command], samples[0][command]))
	}
	r := result{Work: "ps of 500", Peer: "50 ms", Unit: "ms", Target: 1}
	return append(results, compare(r, samples[last]["ps"], []float64{50})), nil
}

func scaled(options ...string) []string {
	return ours(append(append([]string{"run", "--network", "scale"}, options...), "busybox", "sleep", "100000")...)
}

// step times each command.
func (h *host) step(bundle string) (map[string][]float64, error) {
	n := 20
	if h.pairs > 0 {
		n = h.pairs
	}
	samples := map[string][]float64{}
	for range n {
		for _, c := range []struct {
			name string
			argv []string
		}{
			{"run", ours("run", "--rm", "--network", "scale", "busybox", "true")},
			{"crun", []string{"crun", "run", "-b", bundle, "bench-crun"}},
			{"exec", ours("exec", "scale1", "true")},
			{"ps", ours("ps")},
			{"", scaled("-d", "--name", "extra")},
			{"stop", ours("stop", "-t", "0", "extra")},
			{"start", ours("start", "extra")},
			{"", ours("stop", "-t", "0", "extra")},
			{"rm", ours("rm", "extra")},
		} {
			ms, err := timed(c.argv)
			if err != nil {
				return nil, err
			}
			samples[c.name] = append(samples[c.name], ms)
		}
	}
	return samples, nil
}

func summaryOf(running int, samples map[string][]float64) point {
	p := point{Running: running, Median: map[string]float64{}, Best: map[string]float64{}}
	for name, values := range samples {
		if name != "" {
			f := summarize(values, false)
			p.Median[name], p.Best[name] = f.Median, f.Best
		}
	}
	return p
}

// trim formats a number with three digits at most.
func trim(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.2f", v), ".00")
}
