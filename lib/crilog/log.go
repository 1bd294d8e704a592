package crilog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// A container's log has lines in the format of Kubernetes' runtime interface (KEP "CRI log format"), which shells read
// as well:
//
//	2019-01-25T01:46:22.324979123Z stderr F what the program wrote
//
// P instead of F marks a part of a line, which continues in the next line of the same stream.

// maxLine is the most bytes of a program's line in one line of the log.
const maxLine = 16 << 10

// Log writes a container's log: a file of bounded size, with older files beside it ([logBounds]).
type Log struct {
	bounds logBounds
	path   string

	mu      sync.Mutex
	file    *os.File
	size    int64
	pending map[string][]byte // incomplete lines, by stream
	out     []byte            // the lines to write next; reused, so that a busy program makes no garbage
	timer   *time.Timer       // writes incomplete lines; nil if there are none
	closed  bool
}

// promptTime is how long an incomplete line waits for its end before it is written, so that a follower sees a prompt.
const promptTime = 20 * time.Millisecond

// Open opens the log at path for appending. options bound its size, in the form of --log-opt, separated by commas.
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

// endTornLine completes a line that a crash has torn, so that the next one starts on a line of its own.
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

// Write adds output of a stream. It writes all complete lines with one write(2).
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
			i++ // skips the newline
		}
		rest = rest[i:]
	}
	l.pending[stream] = append(half[:0], rest...) // rest may be a later part of half
	if len(rest) > 0 && l.timer == nil {
		l.timer = time.AfterFunc(promptTime, func() { _ = l.Flush() }) // the next line reports a full disk
	}
	return l.flush()
}

// flush writes the complete lines, as many to a file as its bound allows. If the disk is full, only these lines are
// lost.
func (l *Log) flush() error {
	for rest := l.out; len(rest) > 0; {
		n := len(rest)
		if room := l.bounds.size - l.size; l.bounds.size >= 0 && int64(n) > room {
			n = bytes.LastIndexByte(rest[:max(room, 0)], '\n') + 1
			if n == 0 && (l.size == 0 || !l.rotate()) { // the line is longer than a file, or rotation fails
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

// Flush writes incomplete lines as parts: the rest may come later, or the program has ended.
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

// Close writes incomplete lines and closes the file.
func (l *Log) Close() error {
	err := l.Flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return errors.Join(err, l.file.Close())
}

// logTime is RFC 3339 with nine decimals, so that lines sort as text.
const logTime = "2006-01-02T15:04:05.000000000Z07:00"
