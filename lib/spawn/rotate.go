package spawn

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/state"
)

// A log that has reached its size becomes LOG.1, what was LOG.1 becomes LOG.2, and so on; the oldest goes. A
// program that nobody looks after cannot fill the disk: by default its log takes 30 MiB at most.

// logBounds are the size of a file of the log in bytes, negative for no bound, and how many there are.
type logBounds struct {
	size  int64
	files int
}

// parseBounds reads max-size=SIZE and max-file=N, with commas between, as docker's json-file driver has them.
func parseBounds(options string) (logBounds, error) {
	b := logBounds{size: 10 << 20, files: 3}
	for word := range strings.SplitSeq(options, ",") {
		if word == "" {
			continue
		}
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "max-size":
			var size cgroup.Size
			if err := size.UnmarshalText([]byte(value)); err != nil {
				return b, fmt.Errorf("max-size: %w", err)
			}
			if b.size = int64(size); b.size >= 0 && b.size < 4<<10 {
				return b, fmt.Errorf("max-size=%.40s: want 4k or more, or -1 for no bound", value)
			}
		case "max-file":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > 1000 {
				return b, fmt.Errorf("max-file=%.40s: want a number of files from 1 to 1000", value)
			}
			b.files = n
		default:
			return b, fmt.Errorf("%.60q: want max-size=SIZE or max-file=N", word)
		}
	}
	return b, nil
}

// rotate starts a new file, and reports whether it could: if not, nothing changes. One that somebody follows is read to its end by
// its descriptor. Killed at any point, it leaves all lines.
func (l *Log) rotate() bool {
	temp := tempLog(l.path)
	file, err := os.OpenFile(temp, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return false
	}
	for n := l.bounds.files - 1; n > 0 && err == nil; n-- {
		from := l.path
		if n > 1 {
			from = olderLog(l.path, n-1)
		}
		if err = os.Rename(from, olderLog(l.path, n)); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(temp, l.path)
	}
	if err != nil {
		file.Close()
		os.Remove(temp)
		return false
	}
	l.file.Close()
	l.file, l.size = file, 0
	return true
}

// tempLog is the next file of the log before it has its name.
func tempLog(path string) string {
	return filepath.Join(filepath.Dir(path), state.TempPrefix+filepath.Base(path))
}

func olderLog(path string, n int) string { return path + "." + strconv.Itoa(n) }

// logFiles returns the files of the log at path, the oldest first. The last one is path itself, be it there or not.
func logFiles(path string) []string {
	found, _ := filepath.Glob(path + ".*") // the pattern is a good one
	numbers := make([]int, 0, len(found))
	for _, name := range found {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, path+".")); err == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	files := []string{path}
	for _, n := range numbers {
		files = append([]string{olderLog(path, n)}, files...)
	}
	return files
}

// openLogFrom opens the file of the log in which its last lines start, at the place: all of it where tail is negative.
func openLogFrom(path string, tail int) (*os.File, error) {
	files := logFiles(path)
	if tail < 0 {
		for _, name := range files[:len(files)-1] {
			if f, err := os.Open(name); err == nil { // else it has just been rotated away
				return f, nil
			}
		}
		return os.Open(path)
	}
	var file *os.File
	for _, name := range slices.Backward(files) {
		older, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) { // rotated away, or rotating it was cut off
			continue
		}
		if file != nil {
			file.Close()
		}
		if file = older; err != nil {
			return nil, err
		}
		if tail, err = seekTail(file, tail); err != nil || tail == 0 {
			return file, err
		}
	}
	if file == nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	return file, nil
}

// newerLog opens the file of the log that follows the open one; nil where that is the newest. The files may move on
// to higher numbers while we look: who goes by rising numbers meets each.
func newerLog(path string, file *os.File) (*os.File, error) {
	held, err := file.Stat()
	if err != nil {
		return nil, err
	}
	is := func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && os.SameFile(held, info)
	}
	for range 20 {
		if is(path) {
			return nil, nil // as nearly always
		}
		at, last := 0, 0 // ours, and the oldest: a directory's list could miss one that moves
		for n, missing := 1, 0; at == 0 && missing < 2; n++ {
			name := olderLog(path, n)
			if is(name) {
				at = n
			}
			if missing++; exists(name) {
				last, missing = n, 0
			}
		}
		next := path
		if at == 0 { // ours was rotated away
			at = last + 1
		}
		if at > 1 {
			next = olderLog(path, at-1)
		}
		f, err := os.Open(next)
		if err == nil && (at > last || is(olderLog(path, at))) {
			return f, nil
		}
		if err == nil {
			f.Close()
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		time.Sleep(time.Millisecond) // it has no name at this moment
	}
	return nil, nil // a rotation was cut off
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
