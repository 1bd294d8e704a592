// Command bench.d compares the speed of mydocker with other engines and with targets. Each row of the table is a
// task, a peer that does the same, and the largest acceptable ratio of mydocker's time to the peer's.
// scripts/bench runs it on a test host (scripts/test/ring).
//
// The sides of a row alternate within one run, in changing order, so that a disturbance of the machine
// affects all. The medians are compared. The best times, which approximate a quiet machine, are shown
// beside them.
//
// All data is in memory unless -disk is given, so that figures do not include the disk and its other users. (ext4
// without a journal scans recently freed inodes when it creates a file.)
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	pairs := flag.Int("pairs", 0, "runs of each side (default: set by the row)")
	out := flag.String("out", "build/bench", "directory for bench.json, bench.txt and the plots")
	disk := flag.Bool("disk", false, "keep all data on the disk (default: in memory)")
	list := flag.Bool("list", false, "print the names of the rows")
	flag.Parse()
	if *list {
		for _, r := range rows {
			fmt.Printf("%-8s %s\n", r.name, r.what)
		}
		return
	}
	chosen, err := choose(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	r := report{Date: time.Now().UTC().Truncate(time.Second), Machine: machine()}
	if !*disk {
		r.Machine += ", data in memory"
		if err := syscall.Mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=755"); err != nil {
			fmt.Fprintln(os.Stderr, "bench: mount a tmpfs at /var/lib:", err)
			os.Exit(1)
		}
	}
	takePrecedence()
	failed := r.run(&host{pairs: *pairs}, chosen)
	if err := r.save(*out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		failed = true
	}
	fmt.Print("\n", r.table())
	if failed {
		os.Exit(1)
	}
}

// choose returns the named rows, or all without a name.
func choose(names []string) ([]row, error) {
	if len(names) == 0 {
		return rows, nil
	}
	var chosen []row
	for _, name := range names {
		i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no row %q: --list names them", name)
		}
		chosen = append(chosen, rows[i])
	}
	return chosen, nil
}

// report is the result of one run.
type report struct {
	Date    time.Time `json:"date"`
	Machine string    `json:"machine"`
	Results []result  `json:"results"`
	Curve   []point   `json:"curve,omitempty"`
	Failed  []string  `json:"failed,omitempty"`
}

// run measures the rows and prints progress on stderr. A failed row does not stop the others.
func (r *report) run(h *host, chosen []row) (failed bool) {
	defer h.close()
	for _, row := range chosen {
		fmt.Fprintf(os.Stderr, "bench: %s: %s\n", row.name, row.what)
		results, err := row.measure(h)
		for i := range results {
			results[i].Row = row.name
		}
		r.Results = append(r.Results, results...)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", row.name, err)
			r.Failed = append(r.Failed, fmt.Sprintf("%s: %v", row.name, err))
		}
	}
	r.Curve = h.curve
	return len(r.Failed) > 0
}

func (r *report) save(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	files := map[string]string{"bench.json": string(data) + "\n", "bench.txt": r.table()}
	if plot := peersPlot(r.Results); plot != "" {
		files["start.svg"] = plot
	}
	if plot := scalePlot(r.Curve); plot != "" {
		files["scale.svg"] = plot
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// machine describes cpus and kernel.
func machine() string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	info, _ := os.ReadFile("/proc/cpuinfo")
	model, cpus := "", 0
	for _, line := range strings.Split(string(info), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "processor":
			cpus++
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	return fmt.Sprintf("%d x %s, Linux %s", cpus, model, strings.TrimSpace(string(kernel)))
}

// takePrecedence gives the ring's cgroup the highest cpu weight, so that other work on the machine affects fewer
// figures. Errors are ignored.
func takePrecedence() {
	for file, value := range map[string]string{"cpu/cpu.shares": "262144", "cpu.weight": "10000"} {
		if f, err := os.OpenFile("/sys/fs/cgroup/"+file, os.O_WRONLY, 0); err == nil {
			_, _ = f.WriteString(value)
			f.Close()
		}
	}
}
