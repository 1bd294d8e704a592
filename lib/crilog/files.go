package crilog

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"time"
)

// openLog is an open file of a log. Lines after limit were written after it was opened.
type openLog struct {
	*os.File
	limit int64
}

// place is the start of an entry: the index of its open file, and the offset in it.
type place struct {
	file   int
	offset int64
}

func (p place) before(q place) bool {
	return p.file < q.file || p.file == q.file && p.offset < q.offset
}

// openLogFiles opens the files of the log at path, the oldest first. Rotations rename them, so it opens all at once.
// Later lines are after the limit of the last file.
func openLogFiles(path string) (files []openLog, err error) {
	for range 10 {
		if files, err = tryOpenLogFiles(path); err != nil || len(files) == 0 {
			break
		}
		newest, err1 := files[len(files)-1].Stat()
		now, err2 := os.Stat(path)
		if err1 == nil && (errors.Is(err2, os.ErrNotExist) || err2 == nil && os.SameFile(newest, now)) {
			return files, nil // no rotation has renamed them in between
		}
		closeLogFiles(files)
		files = nil
	}
	if len(files) == 0 && err == nil { // rotations followed each other
		files, err = tryOpenLogFiles(path)
	}
	if len(files) == 0 && err == nil {
		err = &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	return files, err
}

// tryOpenLogFiles opens the files of the log by rising numbers. Rotations rename files to higher numbers, so it meets
// each. A file that begins after the one opened before it is new, and is skipped.
func tryOpenLogFiles(path string) (files []openLog, err error) {
	begun := time.Time{}
	for n, missing := 0, 0; missing < 2; n++ { // during a rotation, one number is missing
		file, err := os.Open(olderLog(path, n))
		if errors.Is(err, os.ErrNotExist) {
			missing++
			continue
		}
		missing = 0
		var info os.FileInfo
		if err == nil {
			info, err = file.Stat()
		}
		if err != nil {
			closeLogFiles(files)
			return nil, err
		}
		first := firstStamp(file)
		if isOpen(files, info) || !begun.IsZero() && first.After(begun) {
			file.Close()
			continue
		}
		if !first.IsZero() {
			begun = first
		}
		files = append(files, openLog{file, info.Size()})
	}
	slices.Reverse(files)
	return files, nil
}

func isOpen(files []openLog, info os.FileInfo) bool {
	return slices.ContainsFunc(files, func(f openLog) bool {
		held, err := f.Stat()
		return err == nil && os.SameFile(held, info)
	})
}

func closeLogFiles(files []openLog) {
	for _, f := range files {
		f.Close()
	}
}

// newerLog opens the file of the log that follows the open one; nil if that is the newest. Rotations rename files to
// higher numbers, so a search by rising numbers meets each.
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
			return nil, nil // the usual case
		}
		at, last := 0, 0 // the number of our file, and that of the oldest; a directory listing could miss a file that is renamed
		for n, missing := 1, 0; at == 0 && missing < 2; n++ {
			name := olderLog(path, n)
			if is(name) {
				at = n
			}
			if missing++; exists(name) {
				last, missing = n, 0
			}
		}
		if at == 0 { // our file was rotated out, or removed
			return oldestAfter(path, last, file)
		}
		f, err := os.Open(olderLog(path, at-1))
		if err == nil && is(olderLog(path, at)) {
			return f, nil
		}
		if err == nil {
			f.Close()
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		time.Sleep(time.Millisecond) // a rotation is renaming it
	}
	return nil, nil // a rotation was interrupted
}

// oldestAfter opens the oldest file of the log that was begun after the given one, which was removed; nil if there is
// none. Inode numbers are reused, so the times of the first entries give the order.
func oldestAfter(path string, last int, file *os.File) (*os.File, error) {
	begun := firstStamp(file)
	for n := last; n >= 0; n-- {
		f, err := os.Open(olderLog(path, n))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n == 0 || !firstStamp(f).Before(begun) {
			return f, nil
		}
		f.Close()
	}
	return nil, nil
}

// firstStamp returns the time of the first entry in a file; zero if it has none yet.
func firstStamp(file *os.File) time.Time {
	var start [len(logTime)]byte
	n, _ := file.ReadAt(start[:], 0)
	stamp, _, _ := bytes.Cut(start[:n], []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return time.Time{}
	}
	return at
}

// entry is one line of a log file: a line of the program, or a part of one.
type entry struct {
	at      time.Time
	stamp   []byte
	stream  string
	partial bool // the program's line continues in the next entry of the same stream
	text    []byte
}

// parseEntry parses a line of a log file. ok is false if a crash has torn it.
func parseEntry(line []byte) (e entry, ok bool) {
	stamp, rest, ok1 := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	stream, rest, ok2 := bytes.Cut(rest, []byte(" "))
	tag, text, ok3 := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 || !ok3 {
		return e, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	e = entry{at: at, stamp: stamp, stream: "stdout", partial: string(tag) == "P", text: text}
	if string(stream) == "stderr" {
		e.stream = "stderr"
	}
	return e, err == nil
}

// backward calls see with the lines of the open files, from the last to the first, until see returns false.
func backward(files []openLog, see func(at place, line []byte) bool) error {
	const block = 64 << 10
	buffer := make([]byte, block)
	for i := len(files) - 1; i >= 0; i-- {
		var rest []byte // the end of a line that starts in an earlier block
		for start := files[i].limit; start > 0; {
			size := min(int64(block), start)
			start -= size
			if _, err := files[i].ReadAt(buffer[:size], start); err != nil {
				return err
			}
			data := append(buffer[:size:size], rest...)
			end := len(data)
			for end > 0 {
				from := bytes.LastIndexByte(data[:end-1], '\n') + 1
				if from == 0 && start > 0 {
					break
				}
				// A line without an end is being written, or torn.
				if data[end-1] == '\n' && !see(place{i, start + int64(from)}, data[from:end]) {
					return nil
				}
				end = from
			}
			rest = append([]byte(nil), data[:end]...)
		}
	}
	return nil
}

// lineReader reads the lines of one file after the other, with their positions.
type lineReader struct {
	r    *bufio.Reader
	at   place
	line []byte
}

func newLineReader() *lineReader { return &lineReader{r: bufio.NewReaderSize(nil, 64<<10)} }

// begin continues with a file, at an offset.
func (l *lineReader) begin(in io.Reader, at place) {
	l.r.Reset(in)
	l.at, l.line = at, l.line[:0]
}

// next returns the next line, or io.EOF if it has no end yet. It may be called again when the file has grown.
func (l *lineReader) next() (at place, line []byte, err error) {
	if n := len(l.line); n > 0 && l.line[n-1] == '\n' {
		l.at.offset += int64(n)
		l.line = l.line[:0]
	}
	for {
		part, err := l.r.ReadSlice('\n')
		l.line = append(l.line, part...)
		if err == nil {
			return l.at, l.line, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l.at, nil, err
		}
	}
}
