package crilog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Options say which lines of a log are shown, and how. A line is shown as a whole or not at all, even if it was written
// in parts: Tail and Since count it by its end, and Until by its beginning.
type Options struct {
	Tail       int // only this many lines from the end; -1 for all
	Since      time.Time
	Until      time.Time
	Timestamps bool // print the time at which each line began
	Follow     bool
	Ended      func() bool // asked while following: the container writes no more lines

	Parts bool // Since also shows parts of lines, from the first part written after it
}

// Read copies the log at path, and the older files beside it, to the streams that the program wrote to. It stops at
// what was written before the call, or follows the log until the container ends; if ctx ends, it returns ctx's error.
func Read(ctx context.Context, path string, o Options, out, errOut io.Writer) error {
	files, err := awaitLog(ctx, path, o)
	if len(files) == 0 || err != nil {
		return err
	}
	return newPrinter(o, out, errOut).show(ctx, path, files)
}

// show shows the lines of the open files, and follows the last.
func (p *printer) show(ctx context.Context, path string, files []openLog) (err error) {
	defer func() { closeLogFiles(files) }()
	var from place
	if p.Tail >= 0 {
		if from, err = p.seekTail(files); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
	}
	lines := newLineReader()
	for i := from.file; i < len(files); i++ {
		last := p.Follow && i == len(files)-1
		if _, err := files[i].Seek(from.offset, io.SeekStart); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		var in io.Reader = files[i]
		if !last {
			in = io.LimitReader(in, files[i].limit-from.offset)
		}
		lines.begin(in, place{i, from.offset})
		from = place{i + 1, 0}
		if last {
			break
		}
		if done, err := p.printAll(ctx, lines); done || err != nil {
			return err
		}
	}
	if !p.Follow {
		return nil
	}
	return p.follow(ctx, path, &files[len(files)-1], lines)
}

// awaitLog opens the files of a log. If the log is to be followed, it waits until they exist.
func awaitLog(ctx context.Context, path string, o Options) ([]openLog, error) {
	for {
		ended := !o.Follow || o.Ended()
		files, err := openLogFiles(path)
		switch {
		case err == nil:
			return files, nil
		case !errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("read the log: %w", err)
		case ended:
			return nil, nil // the container has written nothing
		}
		if err := nap(ctx); err != nil {
			return nil, err
		}
	}
}

// nap waits for more lines.
func nap(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Millisecond):
		return nil
	}
}

// follow shows what is written after the position of lines in file, and in the files after it. A file that it opens
// replaces file.
func (p *printer) follow(ctx context.Context, path string, file *openLog, lines *lineReader) error {
	for {
		// Asked before the read, so that all that was written before the end is read.
		ended := p.Ended()
		if done, err := p.printAll(ctx, lines); done || err != nil {
			return err
		}
		next, err := p.newer(path, file.File)
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if next == nil {
			if ended {
				return nil
			}
			if err := nap(ctx); err != nil {
				return err
			}
			continue
		}
		// Only the newest file grows. First read what was written since the last read met the end.
		done, err := p.printAll(ctx, lines)
		file.Close()
		file.File = next
		if done || err != nil {
			return err
		}
		lines.begin(next, place{lines.at.file + 1, 0})
	}
}

// printer shows lines of a log.
type printer struct {
	Options
	out, errOut io.Writer
	newer       func(path string, file *os.File) (*os.File, error) // newerLog, or a test's
	lines       map[string]*lineState
	pastUntil   bool
}

func newPrinter(o Options, out, errOut io.Writer) *printer {
	return &printer{Options: o, out: out, errOut: errOut, newer: newerLog, lines: map[string]*lineState{"stdout": {}, "stderr": {}}}
}

// lineState is the printer's position in the current line of one stream.
type lineState struct {
	from    place   // entries before it are not shown
	midLine bool    // the beginning of the line was shown
	skipped bool    // the beginning of the line was not shown, and so the rest is not either
	held    []entry // the parts of the line so far, all before Since
}

// printAll shows the entries up to the end of the file, and reports whether all further ones are too new or not wanted.
func (p *printer) printAll(ctx context.Context, lines *lineReader) (done bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return true, err
		}
		at, line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return true, fmt.Errorf("read the log: %w", err)
		}
		e, ok := parseEntry(line)
		if !ok {
			continue
		}
		if done, err := p.see(at, e); done || err != nil {
			return true, err
		}
	}
}

// see shows one entry if it belongs to a line that is shown.
func (p *printer) see(at place, e entry) (done bool, err error) {
	l := p.lines[e.stream]
	if p.pastUntil = !p.Until.IsZero() && e.at.After(p.Until); p.pastUntil && !l.midLine && len(l.held) == 0 {
		l.skipped = e.partial
		return !p.openLines(), nil
	}
	switch {
	case at.before(l.from):
	case l.skipped:
		l.skipped = e.partial
	case e.at.Before(p.Since) && !l.midLine:
		if e.partial && !p.Parts { // the line may end in time
			l.held = append(l.held, entry{stamp: append([]byte(nil), e.stamp...), partial: true, text: append([]byte(nil), e.text...)})
		} else {
			l.held = nil
		}
	default:
		for _, part := range l.held {
			if done, err = p.print(l, e.stream, part); done || err != nil {
				return done, err
			}
		}
		l.held = nil
		if done, err = p.print(l, e.stream, e); done || err != nil {
			return done, err
		}
	}
	return p.pastUntil && !p.openLines(), nil
}

// openLines reports whether a line that is shown, or may be shown, has not ended yet.
func (p *printer) openLines() bool {
	for _, l := range p.lines {
		if l.midLine || len(l.held) > 0 {
			return true
		}
	}
	return false
}

func (p *printer) print(l *lineState, stream string, e entry) (done bool, err error) {
	text := e.text
	if p.Timestamps && !l.midLine {
		text = append(append(append(make([]byte, 0, len(e.stamp)+len(text)+2), e.stamp...), ' '), text...)
	}
	if l.midLine = e.partial; !e.partial {
		text = append(text, '\n') // in place of the entry's own line end; after a copy, in the copy
	}
	w := p.out
	if stream == "stderr" {
		w = p.errOut
	}
	if _, err = w.Write(text); errors.Is(err, syscall.EPIPE) {
		return true, nil // the reader has closed its end
	}
	return false, err
}

// tailLook is the state of the backward search for the last lines in one stream.
type tailLook struct {
	met    bool // an entry of the stream was met
	any    bool // a line of the stream is wanted
	inside bool // the line whose parts are met now is wanted
}

// seekTail finds the last lines of the program, and returns where the first of them starts. Parts of other lines, which
// are not shown, may lie between their parts.
func (p *printer) seekTail(files []openLog) (place, error) {
	const far = 1 << 20 // how far back to look for the beginning of an incomplete line
	looks := map[string]*tailLook{"stdout": {}, "stderr": {}}
	end := place{len(files) - 1, files[len(files)-1].limit}
	first, found, looked := end, 0, 0
	err := backward(files, func(at place, line []byte) bool {
		if looked == 0 { // the entries after it are an incomplete line
			end = place{at.file, at.offset + int64(len(line))}
			first = end
		}
		looked += len(line)
		e, ok := parseEntry(line)
		if !ok {
			return true
		}
		l := looks[e.stream]
		if !e.partial || !l.met { // going back, a line starts with its last part
			l.inside = found < p.Tail
			p.lines[e.stream].skipped = p.lines[e.stream].skipped || e.partial && !l.inside
		}
		l.met = true
		if l.inside {
			if !e.partial || !l.any {
				found++
			}
			l.any = true
			p.lines[e.stream].from, first = at, at
		}
		if found < p.Tail || looks["stdout"].inside || looks["stderr"].inside {
			return true
		}
		return p.Follow && looked < far && !(looks["stdout"].met && looks["stderr"].met)
	})
	for stream, l := range looks {
		if !l.any {
			p.lines[stream].from = end
		}
	}
	return first, err
}
