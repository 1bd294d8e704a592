package crilog

import (
	"fmt"
	"time"
)

// Flags are the options of the commands that show logs.
type Flags struct {
	Follow     bool   `short:"f" help:"Follow the log until the container ends"`
	Tail       string `short:"n" default:"all" help:"Show only this many lines from the end"`
	Since      string `help:"Show lines since a time: RFC 3339, a date, unix seconds, or a duration such as 42m"`
	Until      string `help:"Show lines before a time"`
	Timestamps bool   `short:"t" help:"Show the time of each line"`
}

// Parse converts the options; now is the time that durations count back from.
func (f Flags) Parse(now time.Time) (Options, error) {
	o := Options{Tail: -1, Timestamps: f.Timestamps, Follow: f.Follow}
	var err error
	if f.Tail != "" && f.Tail != "all" {
		if o.Tail, err = parseCount(f.Tail); err != nil {
			return o, fmt.Errorf("--tail: %w", err)
		}
	}
	if o.Since, err = ParseTime(f.Since, now); err != nil {
		return o, fmt.Errorf("--since: %w", err)
	}
	if o.Until, err = ParseTime(f.Until, now); err != nil {
		return o, fmt.Errorf("--until: %w", err)
	}
	return o, nil
}
