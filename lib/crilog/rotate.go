package crilog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// A log that has reached its size is renamed to LOG.1, LOG.1 to LOG.2, and so on; the oldest file is removed. So a
// program cannot fill the disk: by default its log takes at most 30 MiB.

// logBounds are the size of a log file in bytes, negative for no bound, and the number of files.
type logBounds struct {
	size  int64
	files int
}

// ParseBounds parses max-size=SIZE and max-file=N, separated by commas, as docker's json-file driver has them.
func ParseBounds(options string) (logBounds, error) {
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

// rotate starts a new file, and reports whether it could: if not, nothing changes. A follower reads the old file to its
// end by its descriptor. A crash at any point loses no line.
func (l *Log) rotate() bool {
	temp := TempFile(l.path)
	file, err := os.OpenFile(temp, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return false
	}
	for n := l.bounds.files - 1; n > 0 && err == nil; n-- {
		if err = os.Rename(olderLog(l.path, n-1), olderLog(l.path, n)); errors.Is(err, os.ErrNotExist) {
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

// TempFile returns the path of the next log file before its rename.
func TempFile(path string) string {
	return filepath.Join(filepath.Dir(path), state.TempPrefix+filepath.Base(path))
}

// olderLog returns the path of the n-th file of the log at path, counted from the newest, 0.
func olderLog(path string, n int) string {
	if n == 0 {
		return path
	}
	return path + "." + strconv.Itoa(n)
}

// Files returns the paths of the log's files, the oldest first. The last one is path itself, whether it exists or not.
func Files(path string) []string {
	found, _ := linux.Glob(filepath.Dir(path), filepath.Base(path)+".*") // the pattern is valid
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

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
