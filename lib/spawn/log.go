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
	"sync"
	"time"
)

// A container's log is lines in the form that Kubernetes' runtime interface knows (KEP 'CRI log
// format'), which a shell reads as well as we do:
//
//	2019-01-25T01:46:22.324979123Z stderr F what the program wrote
//
// P in place of F marks a line whose end is yet to come, in the next line of the same stream.

// maxLine is how much of a program's line goes into one line of the log.
const maxLine = 16 << 10

// Log writes a container's log.
type Log struct {
	mu      sync.Mutex
	file    *os.File
	pending map[string][]byte // lines that have not ended yet, by stream
}

// OpenLog opens the log at path for more lines.
func OpenLog(path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	if err := endTornLine(file); err != nil {
		return nil, fmt.Errorf("open the log: %w", errors.Join(err, file.Close()))
	}
	return &Log{file: file, pending: make(map[string][]byte)}, nil
}

// endTornLine ends the line that a crash has cut off, so that it takes no other one with it.
func endTornLine(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	var last [1]byte
	if _, err := file.ReadAt(last[:], info.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = file.Write([]byte{'\n'})
	return err
}

// Write adds what the program wrote to a stream. The lines get into the file in one write(2).
func (l *Log) Write(stream string, data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	prefix := time.Now().UTC().Format(logTime) + " " + stream + " "
	var out []byte
	rest := append(l.pending[stream], data...)
	for {
		i := bytes.IndexByte(rest, '\n')
		tag := "F "
		if i < 0 || i > maxLine {
			if len(rest) < maxLine {
				break
			}
			i, tag = maxLine, "P "
		}
		out = append(append(append(out, prefix...), tag...), rest[:i]...)
		out = append(out, '\n')
		if tag == "F " {
			i++ // the line's own end
		}
		rest = rest[i:]
	}
	l.pending[stream] = append([]byte(nil), rest...)
	if len(out) == 0 {
		return nil
	}
	if _, err := l.file.Write(out); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	return nil
}

// Close writes the lines that have no end and closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now().UTC().Format(logTime)
	var errs []error
	for _, stream := range []string{"stdout", "stderr"} {
		if rest := l.pending[stream]; len(rest) > 0 {
			_, err := fmt.Fprintf(l.file, "%s %s P %s\n", now, stream, rest)
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, l.file.Close())...)
}

// logTime is RFC 3339 with all nine digits, so that lines can be sorted as text.
const logTime = "2006-01-02T15:04:05.000000000Z07:00"

// LogOptions say which lines of a log are shown, and how.
type LogOptions struct {
	Tail       int // the last lines only; -1 for all
	Since      time.Time
	Until      time.Time
	Timestamps bool
	Follow     bool
	Ended      func() bool // asked when following: no more lines come
}

// ReadLog writes the log at path to the streams that the program wrote to.
func ReadLog(ctx context.Context, path string, o LogOptions, out, errOut io.Writer) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && !o.Follow {
		return nil // it has written nothing
	}
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer file.Close()
	if o.Tail >= 0 {
		if err := seekTail(file, o.Tail); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
	}
	p := printer{LogOptions: o, out: out, errOut: errOut}
	r := bufio.NewReaderSize(file, 64<<10)
	var partial string
	for {
		// Asked before the read: what was written before the end is then surely read.
		ended := !o.Follow || o.Ended()
		line, err := r.ReadString('\n')
		partial += line
		if err == nil {
			done, err := p.print(partial)
			if done || err != nil {
				return err
			}
			partial = ""
			continue
		}
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the log: %w", err)
		}
		if ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // the user has seen enough
		case <-time.After(50 * time.Millisecond):
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
	_, err = io.WriteString(w, text)
	return false, err
}

// seekTail goes to where the last n lines of the program start. Parts of a line count with its end.
func seekTail(file *os.File, n int) error {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	const block = 64 << 10
	var tail []byte
	start := end
	for start > 0 {
		size := min(int64(block), start)
		start -= size
		chunk := make([]byte, size)
		if _, err := file.ReadAt(chunk, start); err != nil {
			return err
		}
		tail = append(chunk, tail...)
		if offset, ok := tailStart(tail, n, start == 0); ok {
			_, err := file.Seek(start+int64(offset), io.SeekStart)
			return err
		}
	}
	_, err = file.Seek(0, io.SeekStart)
	return err
}

// tailStart finds where the last n whole lines of the program start in data, the end of a log. whole
// says that data is all of the log.
func tailStart(data []byte, n int, whole bool) (int, bool) {
	if n == 0 {
		return len(data), true
	}
	lines, end := 0, len(data)
	first := true
	for end > 0 {
		start := bytes.LastIndexByte(data[:end-1], '\n') + 1
		if start == 0 && !whole {
			return 0, false
		}
		fields := bytes.SplitN(data[start:end], []byte(" "), 4)
		complete := len(fields) < 3 || string(fields[2]) != "P"
		if complete || first {
			lines++
		}
		first = false
		if lines > n {
			return end, true
		}
		end = start
	}
	return 0, whole
}
