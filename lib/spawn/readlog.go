package spawn

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// LogOptions say which lines of a log are shown, and how.
type LogOptions struct {
	Tail       int // the last lines only; -1 for all
	Since      time.Time
	Until      time.Time
	Timestamps bool
	Follow     bool
	Ended      func() bool // asked when following: no more lines come
}

// ReadLog writes the log at path, and the older files beside it, to the streams that the program wrote to.
func ReadLog(ctx context.Context, path string, o LogOptions, out, errOut io.Writer) error {
	file, err := openLogFrom(path, o.Tail)
	if errors.Is(err, os.ErrNotExist) && !o.Follow {
		return nil // it has written nothing
	}
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer func() { file.Close() }()
	p := printer{LogOptions: o, out: out, errOut: errOut}
	r := bufio.NewReaderSize(file, 64<<10)
	var partial []byte
	for {
		// Asked before the read: what was written before the end is then surely read.
		ended := !o.Follow || o.Ended()
		line, err := r.ReadSlice('\n')
		partial = append(partial, line...)
		switch {
		case err == nil:
			done, err := p.print(string(partial))
			if done || err != nil {
				return err
			}
			partial = partial[:0]
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("read the log: %w", err)
		}
		next, err := newerLog(path, file)
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if next != nil { // nothing is written any more to what is no longer at the path: we are at its end
			file.Close()
			file = next
			r.Reset(file)
			continue
		}
		if ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // the user has seen enough
		case <-time.After(10 * time.Millisecond):
		}
	}
}

type printer struct {
	LogOptions
	out, errOut io.Writer
	midLine     map[string]bool
}

// print shows one line of the log, and reports whether those behind it are too young.
func (p *printer) print(line string) (done bool, err error) {
	stamp, rest, ok1 := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	stream, rest, ok2 := strings.Cut(rest, " ")
	tag, text, ok3 := strings.Cut(rest, " ")
	at, timeErr := time.Parse(time.RFC3339Nano, stamp)
	if !ok1 || !ok2 || !ok3 || timeErr != nil {
		return false, nil // torn by a crash
	}
	if !p.Until.IsZero() && at.After(p.Until) {
		return true, nil
	}
	if at.Before(p.Since) {
		return false, nil
	}
	if p.midLine == nil {
		p.midLine = make(map[string]bool)
	}
	if p.Timestamps && !p.midLine[stream] {
		text = stamp + " " + text
	}
	p.midLine[stream] = tag == "P"
	if tag != "P" {
		text += "\n"
	}
	w := p.out
	if stream == "stderr" {
		w = p.errOut
	}
	if _, err = io.WriteString(w, text); errors.Is(err, syscall.EPIPE) {
		return true, nil // the reader has seen enough
	}
	return false, err
}

// seekTail goes to where the last n lines of the program in the file start, and returns how many are missing.
// Parts of a line count with its end.
func seekTail(file *os.File, n int) (missing int, err error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	const block = 64 << 10
	var tail []byte
	start := end
	for start > 0 {
		size := min(int64(block), start)
		start -= size
		chunk := make([]byte, size)
		if _, err := file.ReadAt(chunk, start); err != nil {
			return 0, err
		}
		tail = append(chunk, tail...)
		if offset, found, ok := tailStart(tail, n, start == 0); ok {
			_, err := file.Seek(start+int64(offset), io.SeekStart)
			return n - found, err
		}
	}
	_, err = file.Seek(0, io.SeekStart)
	return n, err
}

// tailStart finds where the last n whole lines of the program start in data, the end of a log, and how many there
// are. whole says that data is all of the log.
func tailStart(data []byte, n int, whole bool) (start, found int, ok bool) {
	if n == 0 {
		return len(data), 0, true
	}
	lines, end := 0, len(data)
	first := true
	for end > 0 {
		start := bytes.LastIndexByte(data[:end-1], '\n') + 1
		if start == 0 && !whole {
			return 0, 0, false
		}
		fields := bytes.SplitN(data[start:end], []byte(" "), 4)
		complete := len(fields) < 3 || string(fields[2]) != "P"
		if complete || first {
			lines++
		}
		first = false
		if lines > n {
			return end, n, true
		}
		end = start
	}
	return 0, lines, whole
}
