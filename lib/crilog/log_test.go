package crilog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// written returns the path of a log that write has written to.
func written(t testing.TB, write func(*Log)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	log, err := Open(path, "")
	must(t, err)
	write(log)
	must(t, log.Close())
	return path
}

// logFile returns the path of a log with the given content.
func logFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// show reads a log as the user sees it.
func show(t testing.TB, path string, o Options) (out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	must(t, Read(context.Background(), path, o, &stdout, &stderr))
	return stdout.String(), stderr.String()
}

// TestLogReturnsWhatWasWritten: in however many writes it was written.
func TestLogReturnsWhatWasWritten(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	tests := map[string]string{
		"nothing": "", "a line": "hello\n", "no end": "hello", "an empty line": "\n", "empty lines": "\n\n\n", "blanks": "  a  \n \n",
		"binary": "\x00\xff\r\x1b[0m\n\xc3\n", "looks like a log": "2019-01-25T01:46:22.324979123Z stderr F forged\n",
		"just full": long + "\n", "full without an end": long, "one more": long + "y\n", "one less": long[1:] + "\n",
		"twice as long": long + long + "\n", "three and a bit": long + long + long + "bit", "mixed": "a\n" + long + "b\nc\n" + long,
	}
	for name, text := range tests {
		for _, size := range []int{1 << 20, 32 << 10, 1000, 7} {
			path := written(t, func(log *Log) {
				for rest := []byte(text); len(rest) > 0; {
					n := min(size, len(rest))
					must(t, log.Write("stdout", rest[:n]))
					rest = rest[n:]
				}
			})
			if out, errOut := show(t, path, Options{Tail: -1}); out != text || errOut != "" {
				t.Errorf("%s in writes of %d: %d bytes of %d, err %q", name, size, len(out), len(text), errOut)
			}
			for _, line := range strings.SplitAfter(string(mustReadFile(t, path)), "\n") {
				if len(line) > maxLine+100 {
					t.Errorf("%s: a line of %d bytes", name, len(line))
				}
			}
		}
	}
}

func mustReadFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return data
}

// TestLogFormat: kubectl and other readers of the format can read the lines.
func TestLogFormat(t *testing.T) {
	path := written(t, func(log *Log) {
		must(t, log.Write("stdout", []byte("one\ntw")))
		must(t, log.Write("stderr", []byte("err\n")))
		must(t, log.Write("stdout", []byte("o\nrest")))
	})
	stamp := `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z`
	form := regexp.MustCompile("^" + stamp + " stdout F one\n" + stamp + " stderr F err\n" + stamp + " stdout F two\n" + stamp + " stdout P rest\n$")
	if got := mustReadFile(t, path); !form.Match(got) {
		t.Errorf("got %s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestLogOfTwoStreamsAtOnce(t *testing.T) {
	const lines = 500
	path := written(t, func(log *Log) {
		var all sync.WaitGroup
		for _, stream := range []string{"stdout", "stderr"} {
			all.Add(1)
			go func() {
				defer all.Done()
				for i := range lines {
					for _, part := range []string{stream, fmt.Sprint(" ", i), "\n"} {
						if err := log.Write(stream, []byte(part)); err != nil {
							t.Error(err)
						}
					}
				}
			}()
		}
		all.Wait()
	})
	out, errOut := show(t, path, Options{Tail: -1})
	for name, text := range map[string]string{"stdout": out, "stderr": errOut} {
		var want strings.Builder
		for i := range lines {
			fmt.Fprintln(&want, name, i)
		}
		if text != want.String() {
			t.Errorf("%s: %.200q", name, text)
		}
	}
}

// day is a log of one line a minute, some of them long.
const day = `2019-01-25T01:00:00.000000000Z stdout F one
2019-01-25T01:01:00.000000000Z stderr F two
2019-01-25T01:02:00.000000000Z stdout P thr
2019-01-25T01:02:00.000000000Z stdout P e
2019-01-25T01:02:00.000000000Z stdout F e
2019-01-25T01:03:00.000000000Z stdout F four
`

func TestReadLog(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2019, 1, 25, 1, minute, 0, 0, time.UTC) }
	all := Options{Tail: -1}
	with := func(change func(*Options)) Options { o := all; change(&o); return o }
	tail := func(n int) Options { return Options{Tail: n} }
	const stamp = "2019-01-25T01:0"
	tests := []struct {
		name, text  string
		o           Options
		out, errOut string
	}{
		{"all", day, all, "one\nthree\nfour\n", "two\n"},
		{"none", day, tail(0), "", ""},
		{"the last", day, tail(1), "four\n", ""},
		{"with a line in parts", day, tail(2), "three\nfour\n", ""},
		{"of both streams", day, tail(3), "three\nfour\n", "two\n"},
		{"as many as there are", day, tail(4), "one\nthree\nfour\n", "two\n"},
		{"more than there are", day, tail(100), "one\nthree\nfour\n", "two\n"},
		{"of nothing", "", tail(3), "", ""},
		{"the last has no end", day + "2019-01-25T01:04:00.000000000Z stdout P five\n", tail(1), "five", ""},
		{"since", day, with(func(o *Options) { o.Since = at(2) }), "three\nfour\n", ""},
		{"since the future", day, with(func(o *Options) { o.Since = at(59) }), "", ""},
		{"until", day, with(func(o *Options) { o.Until = at(1) }), "one\n", "two\n"},
		{"between", day, with(func(o *Options) { o.Since, o.Until = at(1), at(2) }), "three\n", "two\n"},
		{"times", day, with(func(o *Options) { o.Timestamps = true }),
			stamp + "0:00.000000000Z one\n" + stamp + "2:00.000000000Z three\n" + stamp + "3:00.000000000Z four\n", stamp + "1:00.000000000Z two\n"},
		{"torn in the middle", "2019-01-25T01:00:00.000000000Z stdout F a\n2019-01-25T01:00:00.0000\n\nnonsense\n" + day, all, "a\none\nthree\nfour\n", "two\n"},
		{"torn at the end", day + "2019-01-25T01:04:00.000000000Z stdout F fi", all, "one\nthree\nfour\n", "two\n"},
		{"the end of what was torn", day + "2019-01-25T01:04:00.000000000Z stdout F fi", tail(1), "four\n", ""},
		{"an empty line", "2019-01-25T01:00:00.000000000Z stdout F \n", all, "\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out, errOut := show(t, logFile(t, tt.text), tt.o); out != tt.out || errOut != tt.errOut {
				t.Errorf("got %q, %q, want %q, %q", out, errOut, tt.out, tt.errOut)
			}
		})
	}
	if out, errOut := show(t, "/nowhere/log", all); out+errOut != "" {
		t.Errorf("a missing log: %q, %q", out, errOut)
	}
}

// TestTailOfALongLog: the blocks of the backward read end between and within lines.
func TestTailOfALongLog(t *testing.T) {
	path := written(t, func(log *Log) {
		for i := range 10000 {
			must(t, log.Write("stdout", []byte(fmt.Sprintln("line", i))))
		}
		must(t, log.Write("stdout", []byte(strings.Repeat("x", 100<<10)+"\n")))
	})
	for _, n := range []int{1, 2, 3, 1000, 1500, 9999, 10001, 20000} {
		out, _ := show(t, path, Options{Tail: n})
		if got := strings.Count(out, "\n"); got != min(n, 10001) {
			t.Errorf("tail %d: %d lines", n, got)
		}
		if first, _, _ := strings.Cut(out, "\n"); n > 1 && first != fmt.Sprint("line ", max(10001-n, 0)) {
			t.Errorf("tail %d starts with %.40q", n, first)
		}
	}
}

// TestLogGoesOn: after a crash in the middle of a line, the lines of the next run are whole.
func TestLogGoesOn(t *testing.T) {
	path := logFile(t, day+"2019-01-25T01:04:00.000000000Z stdout F fi")
	log, err := Open(path, "")
	must(t, err)
	must(t, log.Write("stdout", []byte("again\n")))
	must(t, log.Close())
	if out, _ := show(t, path, Options{Tail: 1}); out != "again\n" {
		t.Errorf("got %q", out)
	}
}

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := Open(path, "")
	must(t, err)
	must(t, log.Write("stdout", []byte("old\n")))
	ended := make(chan struct{})
	out, w, err := os.Pipe()
	must(t, err)
	done := make(chan error)
	go func() {
		done <- Read(context.Background(), path, Options{Tail: 0, Follow: true, Ended: func() bool {
			select {
			case <-ended:
				return true
			default:
				return false
			}
		}}, w, w)
	}()
	buffer := make([]byte, 100)
	for _, line := range []string{"first\n", "second\n"} {
		time.Sleep(20 * time.Millisecond) // the follower has read to the end
		must(t, log.Write("stdout", []byte(line[:3])))
		must(t, log.Write("stdout", []byte(line[3:])))
		if n, err := out.Read(buffer); string(buffer[:n]) != line || err != nil {
			t.Errorf("got %q, %v", buffer[:n], err)
		}
	}
	must(t, log.Write("stdout", []byte("last words")))
	must(t, log.Close())
	close(ended)
	must(t, <-done)
	w.Close()
	if n, _ := out.Read(buffer); string(buffer[:n]) != "last words" {
		t.Errorf("got %q", buffer[:n])
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	err = Read(ctx, path, Options{Follow: true, Ended: func() bool { return false }}, &bytes.Buffer{}, &bytes.Buffer{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// FuzzReadLog: reading any file as a log does no harm, and its tail is its end.
func FuzzReadLog(f *testing.F) {
	f.Add([]byte(day), 2)
	f.Add([]byte(day[:200]), 1)
	f.Add([]byte("\n\n x y P z\n2019-01-25T01:00:00Z stdout P \n"), 3)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		path := logFile(t, string(data))
		whole, wholeErr := show(t, path, Options{Tail: -1})
		out, errOut := show(t, path, Options{Tail: max(n, 0)})
		if !strings.HasSuffix(whole, out) || !strings.HasSuffix(wholeErr, errOut) {
			t.Errorf("tail %d is %q, %q of %q, %q", n, out, errOut, whole, wholeErr)
		}
	})
}

// FuzzLog: a reader gets what was written.
func FuzzLog(f *testing.F) {
	f.Add([]byte("a\nb"), 1)
	f.Add([]byte(strings.Repeat("x", maxLine+1)+"\n"), 100)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		path := written(t, func(log *Log) {
			for rest := data; len(rest) > 0; {
				n := min(max(size, len(data)/64+1), len(rest)) // bounds the number of writes
				must(t, log.Write("stdout", rest[:n]))
				rest = rest[n:]
			}
		})
		if out, _ := show(t, path, Options{Tail: -1}); out != string(data) {
			t.Errorf("got %q, want %q", out, data)
		}
	})
}

// TestPrompt: an incomplete line is shown to a follower, and the rest continues it.
func TestPrompt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, "")
	must(t, err)
	must(t, l.Write("stdout", []byte("login: ")))
	eventually(t, "the prompt is in the log", func() bool { return readAll(t, path, Options{Tail: -1})[0] == "login: " })
	must(t, l.Write("stdout", []byte("root\n")))
	must(t, l.Close())
	must(t, l.Flush()) // as a timer that fires late
	if got := readAll(t, path, Options{Tail: 1}); len(got) != 1 || got[0] != "login: root" {
		t.Errorf("%q", got)
	}
}
