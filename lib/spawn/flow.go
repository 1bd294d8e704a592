package spawn

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/weikeit/mydocker/lib/interrupt"
)

// Flow counts what a reader takes, to see whether it still does.
type Flow struct{ count atomic.Int64 }

// stalled is how long a reader may take nothing, when the program was asked to end and has.
const stalled = 500 * time.Millisecond

// through is a sink that counts what goes on to out.
func (f *Flow) through(out sink) sink {
	return func(stream string, data []byte) error {
		err := out(stream, data)
		f.count.Add(1)
		return err
	}
}

// Writer is the same for a writer.
func (f *Flow) Writer(w io.Writer) io.Writer { return &flowWriter{w, f} }

type flowWriter struct {
	w io.Writer
	f *Flow
}

func (w *flowWriter) Write(data []byte) (int, error) {
	n, err := w.w.Write(data)
	w.f.count.Add(1)
	return n, err
}

// Await waits until all is delivered, or this process is told to end; where asked, also until the reader has stalled.
func (f *Flow) Await(delivered <-chan struct{}, asked bool) {
	var tick <-chan time.Time
	told := interrupt.Told()
	if asked && told != nil { // a monitor gives nothing up
		ticker := time.NewTicker(stalled / 5)
		defer ticker.Stop()
		tick = ticker.C
	}
	last, since := f.count.Load(), time.Now()
	for {
		select {
		case <-delivered:
			return
		case <-told:
			return
		case <-tick:
		}
		if now := f.count.Load(); now != last {
			last, since = now, time.Now()
		} else if time.Since(since) >= stalled {
			return
		}
	}
}
