package crilog

import (
	"strings"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2019, 1, 25, 10, 0, 0, 0, time.FixedZone("here", 8*3600))
	local := func(h, m, s int) time.Time { return time.Date(2019, 1, 24, h, m, s, 0, now.Location()) }
	tests := []struct {
		in   string
		want time.Time
	}{
		{"", time.Time{}}, {"42m", now.Add(-42 * time.Minute)}, {"1h30m", now.Add(-90 * time.Minute)}, {"0s", now},
		{"-1h", now.Add(time.Hour)},
		{"2019-01-24", local(0, 0, 0)}, {"2019-01-24 07:08:09", local(7, 8, 9)}, {"2019-01-24T07:08", local(7, 8, 0)},
		{"2019-01-24T07:08:09", local(7, 8, 9)}, {"2019-01-24T07:08:09Z", time.Date(2019, 1, 24, 7, 8, 9, 0, time.UTC)},
		{"2019-01-24T07:08:09.5+08:00", local(7, 8, 9).Add(time.Second / 2)},
		{"1548380000", time.Unix(1548380000, 0)}, {"1548380000.25", time.Unix(1548380000, 25e7)}, {"0", time.Unix(0, 0)},
	}
	for _, tt := range tests {
		if got, err := ParseTime(tt.in, now); err != nil || !got.Equal(tt.want) {
			t.Errorf("%q: %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"soon", "2019-13-01", "42x", "-5", "NaN", "Inf", "1e300", "2019-01-24T25:00:00Z", strings.Repeat("9", 500), " "} {
		if got, err := ParseTime(in, now); err == nil || len(err.Error()) > 200 {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestLogFlags(t *testing.T) {
	now := time.Unix(1548380000, 0)
	o, err := Flags{Tail: "5", Since: "1m", Until: "0", Timestamps: true, Follow: true}.Parse(now)
	if err != nil || o.Tail != 5 || !o.Since.Equal(now.Add(-time.Minute)) || !o.Until.Equal(time.Unix(0, 0)) || !o.Timestamps || !o.Follow {
		t.Errorf("%+v, %v", o, err)
	}
	for _, tail := range []string{"", "all"} {
		if o, err := (Flags{Tail: tail}).Parse(now); err != nil || o.Tail != -1 {
			t.Errorf("%q: %+v, %v", tail, o, err)
		}
	}
	for option, f := range map[string]Flags{
		"--tail": {Tail: "-1"}, "--tail: ": {Tail: "five"}, "--since": {Since: "x"}, "--until": {Until: "x"},
	} {
		if _, err := f.Parse(now); err == nil || !strings.HasPrefix(err.Error(), option) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
