package crilog

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// entries makes a log; each word is SECOND:STREAM:TAG:TEXT.
func entries(words ...string) string {
	var log strings.Builder
	for _, w := range words {
		f := strings.SplitN(w, ":", 4)
		fmt.Fprintf(&log, "2019-01-25T01:00:%s.000000000Z std%s %s %s\n", f[0], f[1], f[2], f[3])
	}
	return log.String()
}

// TestLinesInParts: a line that was written in parts is shown as a whole or not at all, with one time, whatever the
// other stream wrote in between.
func TestLinesInParts(t *testing.T) {
	woven := entries("00:out:F:old", "01:out:P:a", "02:err:P:x", "03:out:P:b", "04:err:F:y", "05:out:F:c", "06:err:F:z")
	at := func(second int) time.Time { return time.Date(2019, 1, 25, 1, 0, second, 500, time.UTC) }
	since := func(from, to int) Options {
		o := Options{Tail: -1, Since: at(from)}
		if to > 0 {
			o.Until = at(to)
		}
		return o
	}
	tests := []struct {
		name, text  string
		o           Options
		out, errOut string
	}{
		{"tail 1 is the last line of any stream", woven, Options{Tail: 1}, "", "z\n"},
		{"tail 2 reaches back for the beginning", woven, Options{Tail: 2}, "abc\n", "z\n"},
		{"tail 3", woven, Options{Tail: 3}, "abc\n", "xy\nz\n"},
		{"tail 4", woven, Options{Tail: 4}, "old\nabc\n", "xy\nz\n"},
		{"an end to come is a line", entries("00:out:F:a", "01:out:P:b", "02:err:F:c", "03:out:P:d"), Options{Tail: 1}, "bd", ""},
		{"another line ended later", entries("00:out:F:a", "01:out:P:b", "02:err:F:c"), Options{Tail: 1}, "", "c\n"},
		{"since the middle", woven, since(2, 0), "abc\n", "xy\nz\n"},
		{"since the end", woven, since(4, 0), "abc\n", "z\n"},
		{"until the middle", woven, since(-9, 2), "old\nabc\n", "xy\n"},
		{"until before the other began", woven, since(-9, 1), "old\nabc\n", ""},
		{"between two parts", woven, since(2, 2), "abc\n", "xy\n"},
		{"times", woven, Options{Tail: 2, Timestamps: true}, "2019-01-25T01:00:01.000000000Z abc\n", "2019-01-25T01:00:06.000000000Z z\n"},
		{"times of what is held back", woven, Options{Tail: -1, Since: at(4), Timestamps: true}, "2019-01-25T01:00:01.000000000Z abc\n", "2019-01-25T01:00:06.000000000Z z\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out, errOut := show(t, logFile(t, tt.text), tt.o); out != tt.out || errOut != tt.errOut {
				t.Errorf("got %q, %q, want %q, %q", out, errOut, tt.out, tt.errOut)
			}
		})
	}
}

// TestPartsAcrossRotation: the parts of one line are in several files, with lines of the other stream between them.
func TestPartsAcrossRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "max-size=20k,max-file=100")
	must(t, err)
	long := strings.Repeat("x", 100<<10)
	must(t, l.Write("stdout", []byte("before\n")))
	for rest := long; rest != ""; rest = rest[10<<10:] {
		must(t, l.Write("stdout", []byte(rest[:10<<10])))
		must(t, l.Write("stderr", []byte("between\n")))
	}
	must(t, l.Write("stdout", []byte("\n")))
	must(t, l.Close())
	if n := len(Files(path)); n < 4 {
		t.Fatalf("%d files", n)
	}
	for _, o := range []Options{{Tail: 1}, {Tail: 1, Follow: true, Ended: func() bool { return true }}} {
		if out, errOut := show(t, path, o); out != long+"\n" || errOut != "" {
			t.Errorf("%d of %d bytes, beside %q", len(out), len(long)+1, errOut)
		}
	}
	if out, errOut := show(t, path, Options{Tail: 3}); out != long+"\n" || errOut != "between\nbetween\n" {
		t.Errorf("%d bytes beside %q", len(out), errOut)
	}
}

// TestFollowFromTheMiddle: if the beginning of a line is not shown, neither is the end that comes later.
func TestFollowFromTheMiddle(t *testing.T) {
	path := logFile(t, entries("00:out:F:a", "01:out:P:b"))
	looks := 0
	o := Options{Tail: 0, Follow: true, Ended: func() bool {
		if looks++; looks == 2 {
			appendTo(t, path, entries("02:out:F:c", "03:out:F:d"))
		}
		return looks > 3
	}}
	if out, _ := show(t, path, o); out != "d\n" {
		t.Errorf("got %q", out)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(text)
	must(t, err)
	must(t, f.Close())
}

// fastWriter writes more to a log than is shown of it.
type fastWriter struct {
	t     *testing.T
	log   *Log
	shown int
}

func (w *fastWriter) Write(p []byte) (int, error) {
	if w.shown += bytes.Count(p, []byte("\n")); w.shown > 5000 {
		w.t.Fatal("the read does not end")
	}
	must(w.t, w.log.Write("stdout", []byte("more\nand more\nand more\n")))
	return len(p), nil
}

// TestEndsWithWhatThereWas: a read of a log that grows faster than it is shown stops at what was written before the
// read, across rotations and with any options.
func TestEndsWithWhatThereWas(t *testing.T) {
	for _, o := range []Options{
		{Tail: -1}, {Tail: 700}, {Tail: -1, Since: time.Now().Add(-time.Hour)}, {Tail: -1, Until: time.Now().Add(time.Hour)},
	} {
		for _, bounds := range []string{"max-size=8k,max-file=1000", "max-size=-1", "max-size=4k,max-file=2"} {
			path := filepath.Join(t.TempDir(), "log")
			l, err := Open(path, bounds)
			must(t, err)
			writeLines(t, l, 0, 1000)
			w := &fastWriter{t: t, log: l}
			must(t, Read(context.Background(), path, o, w, w))
			if want := map[int]int{-1: 1000, 700: 700}[o.Tail]; w.shown != want && !strings.HasSuffix(bounds, "=2") {
				t.Errorf("%s, %+v: %d lines, want %d", bounds, o, w.shown, want)
			}
			must(t, l.Close())
		}
	}
}

// followed follows a log while do changes its files once, between the follower's read of the end and its look at the
// path.
func followed(t *testing.T, path string, do func()) string {
	t.Helper()
	var out bytes.Buffer
	looks := 0
	p := newPrinter(Options{Tail: -1, Follow: true, Ended: func() bool { return looks > 1 }}, &out, &out)
	p.newer = func(path string, file *os.File) (*os.File, error) {
		if looks++; looks == 1 {
			do()
		}
		return newerLog(path, file)
	}
	files, err := openLogFiles(path)
	must(t, err)
	must(t, p.show(context.Background(), path, files))
	return out.String()
}

// TestFollowLosesNothing: a follower shows what is written between its read of the end and its look for a newer file,
// however often the log is rotated in between.
func TestFollowLosesNothing(t *testing.T) {
	for _, n := range []int{10, 200, 2000} { // no rotation, one, many
		path := filepath.Join(t.TempDir(), "log")
		l, err := Open(path, "max-size=8k,max-file=1000")
		must(t, err)
		writeLines(t, l, 0, 1)
		out := followed(t, path, func() { writeLines(t, l, 1, n) })
		must(t, l.Close())
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		for i, line := range lines {
			if line != fmt.Sprint("line ", i) {
				t.Fatalf("%d lines: %q in place of line %d", n, line, i)
			}
		}
		if len(lines) != n {
			t.Errorf("%d lines of %d", len(lines), n)
		}
	}
}

// TestFollowRotatedAway: a follower that falls behind continues with the oldest file that exists.
func TestFollowRotatedAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "max-size=4k,max-file=3")
	must(t, err)
	writeLines(t, l, 0, 1)
	out := followed(t, path, func() { writeLines(t, l, 1, 2000) })
	must(t, l.Close())
	rest := strings.Join(readAll(t, path, Options{Tail: -1}), "\n") + "\n"
	if !strings.HasPrefix(out, "line 0\n") || !strings.HasSuffix(out, "\n"+rest) {
		t.Errorf("%d bytes, of which the last are to be these %d", len(out), len(rest))
	}
}

// TestFollowOfRemovedFile: a log file that was removed by hand is read to its end, and no older one is shown again.
func TestFollowOfRemovedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "max-size=8k,max-file=10")
	must(t, err)
	writeLines(t, l, 0, 500)
	out := followed(t, path, func() {
		must(t, os.Remove(path))
		writeLines(t, l, 500, 501)
	})
	must(t, l.Close())
	if n := strings.Count(out, "line "); n != 501 || !strings.HasSuffix(out, "line 499\nline 500\n") {
		t.Errorf("%d lines, the end %q", n, out[max(0, len(out)-40):])
	}
}

// TestFollowAcrossLives: a container that starts again appends to its log, in a new file if the old one is full.
func TestFollowAcrossLives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "max-size=4k,max-file=10")
	must(t, err)
	writeLines(t, l, 0, 90)
	out := followed(t, path, func() {
		must(t, l.Close())
		next, err := Open(path, "max-size=4k,max-file=10")
		must(t, err)
		writeLines(t, next, 90, 200)
		must(t, next.Close())
	})
	if n := strings.Count(out, "line "); n != 200 || !strings.HasSuffix(out, "line 199\n") {
		t.Errorf("%d lines", n)
	}
}
