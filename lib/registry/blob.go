package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/regclient/regclient/types/descriptor"
)

// A download that breaks off, or stalls, goes on where it was, over a new connection: as long as each
// brings something, and maxResumes times when they bring nothing.
const (
	maxResumes = 4
	// Less than stallBytes in stallTimeout is a stall. An old modem brings ten times that.
	stallBytes = 32 << 10
)

// Variables for the tests alone.
var (
	stallTimeout = 60 * time.Second
	resumeDelay  = 200 * time.Millisecond // before the first try, and twice as long each time
)

var errStalled = fmt.Errorf("the download stalled: less than %d KiB in %s", stallBytes>>10, stallTimeout)

// body is a blob on its way from a registry or its mirrors.
type body struct {
	source       *source
	desc         v1.Descriptor
	ctx          context.Context // of the blob: Close ends it
	cancel       context.CancelFunc
	offset       int64 // of the next byte
	answerStart  int64 // the offset at which the answer began
	emptyAnswers int   // answers in a row that brought nothing

	mu     sync.Mutex // Close may come at any time
	answer *answer
}

// Blob implements image.Source.
func (s *source) Blob(ctx context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error) {
	b := &body{source: s, desc: d, offset: offset}
	b.ctx, b.cancel = context.WithCancel(ctx)
	if err := b.open(); err != nil {
		b.cancel()
		return nil, err
	}
	return b, nil
}

// open asks for what follows the offset.
func (b *body) open() error {
	return b.source.each(b.ctx, target("", b.desc.Digest), func(ctx context.Context, c *client) error {
		p := &part{offset: b.offset}
		ctx, cancel := context.WithCancel(context.WithValue(ctx, partKey{}, p))
		// Without the size, which is not believed, and the urls, which are not followed.
		r, err := c.rc.BlobGet(ctx, c.ref("", b.desc.Digest), descriptor.Descriptor{MediaType: b.desc.MediaType, Digest: b.desc.Digest})
		if err != nil {
			cancel()
			return err
		}
		if n := r.Response().ContentLength; n >= 0 && p.start+n != b.desc.Size {
			cancel()
			r.Close()
			return fmt.Errorf("content %s has %d bytes there, the manifest says %d", b.desc.Digest, p.start+n, b.desc.Size)
		}
		// The bare answer: regclient would hash it once more, and go on in its own way where it breaks off.
		a := &answer{body: r.Response().Body, closer: r, host: c.host, cancel: cancel}
		a.watchdog = time.AfterFunc(stallTimeout, a.stall)
		if err := a.skip(b.offset - p.start); err != nil {
			a.close()
			return err
		}
		b.answerStart = b.offset
		b.set(a)
		return nil
	})
}

// Peek implements image.Remote.
func (s *source) Peek(ctx context.Context, d v1.Descriptor, offset int64, n int) (data []byte, err error) {
	ctx, stop := context.WithTimeout(ctx, stallTimeout)
	defer stop()
	err = s.each(ctx, target("", d.Digest), func(ctx context.Context, c *client) error {
		p := &part{offset: offset, length: int64(n)}
		r, err := c.rc.BlobGet(context.WithValue(ctx, partKey{}, p), c.ref("", d.Digest), descriptor.Descriptor{MediaType: d.MediaType, Digest: d.Digest})
		if err != nil {
			return err
		}
		defer r.Close()
		if !p.ranged {
			return errors.New("it knows no ranges")
		}
		data = make([]byte, n)
		_, err = io.ReadFull(r.Response().Body, data)
		return err
	})
	return data, err
}

// set puts an answer in the place of the one before.
func (b *body) set(a *answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer != nil {
		b.answer.close()
	}
	b.answer = a
	if b.ctx.Err() != nil {
		a.close()
	}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.answer.Read(p)
	b.offset += int64(n)
	if err == nil || err == io.EOF || b.ctx.Err() != nil {
		return n, err
	}
	host := b.answer.host
	if failed := b.resume(err); failed != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the answer broke off: %w", err)
		}
		return n, fmt.Errorf("registry %s: %w", host, innermost(err))
	}
	return n, nil
}

// resume opens the blob again where an answer broke off.
func (b *body) resume(cause error) error {
	if b.offset > b.answerStart {
		b.emptyAnswers = 0
	}
	for ; b.emptyAnswers < maxResumes; b.emptyAnswers++ {
		slog.Debug("a download broke off and is resumed", "cause", cause, "offset", b.offset)
		if err := sleep(b.ctx, resumeDelay<<b.emptyAnswers); err != nil {
			return err
		}
		if cause = b.open(); cause == nil {
			b.emptyAnswers++ // until it brings something
			return nil
		}
	}
	return cause
}

// Close implements io.Closer. It may be called while somebody reads.
func (b *body) Close() error {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer.close()
	return nil
}

// answer is what one connection brings of a blob.
type answer struct {
	body     io.ReadCloser
	closer   io.Closer // of regclient, which counts connections
	host     string
	cancel   context.CancelFunc
	watchdog *time.Timer
	stalled  atomic.Bool
	readTime time.Duration // reading, and
	received int64         // target came meanwhile
}

// Read implements io.Reader, as long as something comes.
func (a *answer) Read(p []byte) (int, error) {
	begun := time.Now()
	a.watchdog.Reset(stallTimeout)
	n, err := a.body.Read(p)
	a.watchdog.Stop()
	a.received += int64(n)
	if a.readTime += time.Since(begun); a.readTime >= stallTimeout {
		if a.received < stallBytes {
			a.stalled.Store(true)
		}
		a.readTime, a.received = 0, 0
	}
	if err != io.EOF && a.stalled.Load() {
		err = errStalled
	}
	return n, err
}

func (a *answer) stall() {
	a.stalled.Store(true)
	a.cancel()
}

// skip passes over what is there already, where the server knows no ranges.
func (a *answer) skip(n int64) error {
	_, err := io.CopyN(io.Discard, a, n)
	return err
}

func (a *answer) close() {
	a.cancel()
	a.watchdog.Stop()
	a.closer.Close()
}
