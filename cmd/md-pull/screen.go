package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/docker/go-units"

	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/linux"
)

// screen shows the progress of a pull: on a terminal one line per layer, redrawn in place; otherwise plain lines, like
// docker.
type screen struct {
	out   io.Writer
	tty   *os.File // nil for plain lines
	ref   image.Reference
	quiet bool

	mu     sync.Mutex
	layers []layerLine
	drawn  int // lines drawn so far
	stop   chan struct{}
	done   sync.WaitGroup
}

// layerLine is the line of a layer on the terminal.
type layerLine struct {
	image.Event
	begun time.Time
}

// The interval between two drawings, and the size of a terminal that does not report one.
const (
	interval    = 100 * time.Millisecond
	defaultCols = 80
	defaultRows = 24
)

func newScreen(out io.Writer, ref image.Reference, quiet bool) *screen {
	s := &screen{out: out, ref: ref, quiet: quiet, stop: make(chan struct{})}
	if f, ok := out.(*os.File); ok && !quiet && linux.IsTerminal(int(f.Fd())) {
		s.tty = f
	}
	return s
}

// event handles an event of the pull. Several goroutines call it.
func (s *screen) event(e image.Event) {
	if s.quiet {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.Status == image.Started:
		s.start()
	case s.tty != nil:
		s.keep(e)
	case e.Status == image.Waiting || e.Status == image.Complete || e.Status == image.Exists:
		fmt.Fprintf(s.out, "%s: %s\n", e.Layer, e.Status)
	}
}

func (s *screen) start() {
	from := s.ref.Path
	if from == "" {
		from = "an archive"
	}
	if tag := s.ref.Tag; tag != "" {
		fmt.Fprintf(s.out, "%s: ", tag)
	}
	fmt.Fprintf(s.out, "Pulling from %s\n", from)
	if s.tty == nil {
		return
	}
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				s.mu.Lock()
				s.draw()
				s.mu.Unlock()
			case <-s.stop:
				return
			}
		}
	}()
}

// keep stores the state of a layer for the next drawing.
func (s *screen) keep(e image.Event) {
	for len(s.layers) <= e.Index {
		s.layers = append(s.layers, layerLine{})
	}
	l := &s.layers[e.Index]
	if l.begun.IsZero() && e.Status != image.Waiting {
		l.begun = time.Now()
	}
	l.Event = e
}

// close draws the final state and ends the drawing.
func (s *screen) close() {
	close(s.stop)
	s.done.Wait()
	if s.tty != nil && len(s.layers) > 0 {
		s.draw()
	}
}

// draw redraws all lines in place. A terminal with fewer rows shows the last lines, because lines that have scrolled off
// cannot be redrawn.
func (s *screen) draw() {
	cols, rows := defaultCols, defaultRows
	if ws, err := linux.GetWindowSize(s.tty); err == nil && ws.Cols > 0 && ws.Rows > 0 {
		cols, rows = int(ws.Cols), int(ws.Rows)
	}
	layers := s.layers
	if over := len(layers) - (rows - 1); over > 0 {
		layers = layers[over:]
	}
	var b strings.Builder
	if up := min(s.drawn, rows-1); up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	for _, l := range layers {
		text := l.String()
		if len(text) > cols-1 {
			text = text[:cols-1]
		}
		b.WriteString("\r\x1b[K" + text + "\n")
	}
	s.drawn = len(layers)
	io.WriteString(s.out, b.String())
}

// String returns the line of a layer: status, progress, rate and remaining time.
func (l layerLine) String() string {
	text := l.Layer + ": " + string(l.Status)
	if l.Status != image.Downloading && l.Status != image.Unpacking {
		return text
	}
	text += fmt.Sprintf("  %s of %s", units.HumanSize(float64(l.Current)), units.HumanSize(float64(l.Total)))
	spent := time.Since(l.begun).Seconds()
	if spent < 0.5 || l.Current == 0 || l.Current >= l.Total {
		return text
	}
	rate := float64(l.Current) / spent
	left := time.Duration(float64(l.Total-l.Current) / rate * float64(time.Second))
	return text + fmt.Sprintf("  %s/s  %s left", units.HumanSize(rate), left.Round(time.Second))
}

// result prints the result of a successful pull.
func (s *screen) result(r *image.Result) error {
	if s.quiet {
		_, err := fmt.Fprintln(s.out, r.Image.Digest)
		return err
	}
	status := "Image is up to date for"
	if r.New {
		status = "Downloaded newer image for"
	}
	name := s.ref.String()
	if name == "" {
		name = r.Image.ID
	}
	_, err := fmt.Fprintf(s.out, "Digest: %s\nStatus: %s %s\n", r.Image.Digest, status, name)
	return err
}
