package main

import (
	"fmt"
	"strings"
)

// table formats the report as text.
func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s\nmedian (best) of each side; ratio of the medians (of the best)\n\n",
		r.Date.Format("2006-01-02 15:04"), r.Machine)
	fmt.Fprintf(&b, "%-18s %-20s %20s %20s   %-17s %-8s %s\n", "WORK", "AGAINST", "OURS", "THEIRS", "RATIO", "TARGET", "")
	for _, row := range r.Results {
		bound, verdict := "<= ", "met"
		if row.More {
			bound = ">= "
		}
		if !row.Met {
			verdict = "MISSED"
		}
		fmt.Fprintf(&b, "%-18s %-20s %20s %20s   %-17s %-8s %s\n", row.Work, row.Peer,
			cell(row.Ours, row.Unit), cell(row.Theirs, row.Unit),
			fmt.Sprintf("%.3f (%.3f)", row.Ratio, row.Quiet), bound+trim(row.Target), verdict)
	}
	for _, failure := range r.Failed {
		fmt.Fprintln(&b, "failed:", failure)
	}
	return b.String()
}

func cell(f figures, unit string) string {
	return fmt.Sprintf("%s (%s) %s", trim(f.Median), trim(f.Best), unit)
}
