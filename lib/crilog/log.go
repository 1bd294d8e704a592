package crilog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
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

// Log writes a container's log, a file of bounded size with older ones beside it ([logBounds]).
type Log struct {
	bounds logBounds
	path   string

	mu      sync.Mutex
	file    *os.File
	size    int64
	pending map[string][]byte // lines that have not ended yet, by stream
	out     []byte            // what is written next: kept, so that a busy program makes no garbage
	timer   *time.Timer       // for what has no end yet; nil: nothing waits
	closed  bool
}

// promptTime is how long the beginning of a line waits for its end: who follows the log sees a prompt.
const promptTime = 20 * time.Millisecond

// Open opens the log at path for more lines. options bound it, as those of --log-opt with commas between.
func Open(path, options string) (*Log, error) {
	bounds, err := ParseBounds(options)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	l := &Log{bounds: bounds, path: path, pending: make(map[string][]byte)}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return l, nil
}

func (l *Log) open() error {
	file, err := os.OpenFile(l.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := endTornLine(file); err != nil {
		return errors.Join(err, file.Close())
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.size = file, info.Size()
	return nil
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
	half, rest := l.pending[stream], data
	if len(half) > 0 {
		half = append(half, data...)
		rest = half
	}
	l.out = l.out[:0]
	for {
		i := bytes.IndexByte(rest, '\n')
		tag := "F "
		if i < 0 || i > maxLine {
			if len(rest) < maxLine {
				break
			}
			i, tag = maxLine, "P "
		}
		l.out = append(append(append(l.out, prefix...), tag...), rest[:i]...)
		l.out = append(l.out, '\n')
		if tag == "F " {
			i++ // the line's own end
		}
		rest = rest[i:]
	}
	l.pending[stream] = append(half[:0], rest...) // which may lie further back in half
	if len(rest) > 0 && l.timer == nil {
		l.timer = time.AfterFunc(promptTime, func() { _ = l.Flush() }) // a full disk is told by the next line
	}
	return l.flush()
}

// flush writes the lines that are ready, as many to a file as it may hold. Those that the disk has no room for are
// lost, and no others with them.
func (l *Log) flush() error {
	for rest := l.out; len(rest) > 0; {
		n := len(rest)
		if room := l.bounds.size - l.size; l.bounds.size >= 0 && int64(n) > room {
			n = bytes.LastIndexByte(rest[:max(room, 0)], '\n') + 1
			if n == 0 && (l.size == 0 || !l.rotate()) { // a line that is longer than a file, or no other file
				n = bytes.IndexByte(rest, '\n') + 1
			}
		}
		if err := l.append(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func (l *Log) append(lines []byte) error {
	n, err := l.file.Write(lines)
	if err != nil {
		if n > 0 && l.file.Truncate(l.size) != nil {
			l.size += int64(n)
		}
		return fmt.Errorf("write the log: %w", err)
	}
	l.size += int64(n)
	return nil
}

// Flush writes the lines that have no end: it may come later, or the program has ended.
func (l *Log) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.closed {
		return nil
	}
	prefix := time.Now().UTC().Format(logTime)
	l.out = l.out[:0]
	for _, stream := range []string{"stdout", "stderr"} {
		if rest := l.pending[stream]; len(rest) > 0 {
			l.out = fmt.Appendf(l.out, "%s %s P %s\n", prefix, stream, rest)
		}
		l.pending[stream] = l.pending[stream][:0]
	}
	return l.flush()
}

// Close writes the lines that have no end and closes the file.
func (l *Log) Close() error {
	err := l.Flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return errors.Join(err, l.file.Close())
}

// logTime is RFC 3339 with all nine digits, so that lines can be sorted as text.
const logTime = "2006-01-02T15:04:05.000000000Z07:00"
