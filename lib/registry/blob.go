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

// An interrupted or stalled download is resumed over a new connection, any number of times while each connection brings
// data, and maxResumes times in a row without data.
const (
	maxResumes = 4
	// Less than stallBytes in stallTimeout is a stall. A 56k modem receives more than ten times as much.
	stallBytes = 32 << 10
)

// Variables, so that tests can change them.
var (
	stallTimeout = 60 * time.Second
	resumeDelay  = 200 * time.Millisecond // before the first retry, then doubled each time
)

var errStalled = fmt.Errorf("download stalled: less than %d KiB in %s", stallBytes>>10, stallTimeout)

// body is a blob that is being downloaded from a registry or its mirrors.
type body struct {
	source       *source
	desc         v1.Descriptor
	ctx          context.Context // canceled by Close
	cancel       context.CancelFunc
	offset       int64 // of the next byte
	answerStart  int64 // offset at which the current answer began
	emptyAnswers int   // answers in a row without data

	mu     sync.Mutex // for answer: Close may be called at any time
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

// open requests the rest of the blob from the current offset.
func (b *body) open() error {
	return b.source.each(b.ctx, target("", b.desc.Digest), func(ctx context.Context, c *client) error {
		p := &part{offset: b.offset}
		ctx, cancel := context.WithCancel(context.WithValue(ctx, partKey{}, p))
		// Without size, which is not trusted, and URLs, which are not followed.
		r, err := c.rc.BlobGet(ctx, c.ref("", b.desc.Digest), descriptor.Descriptor{MediaType: b.desc.MediaType, Digest: b.desc.Digest})
		if err != nil {
			cancel()
			return err
		}
		if n := r.Response().ContentLength; n >= 0 && p.start+n != b.desc.Size {
			cancel()
			r.Close()
			return fmt.Errorf("content %s has %d bytes, want %d (manifest)", b.desc.Digest, p.start+n, b.desc.Size)
		}
		// The plain HTTP body: regclient's reader would hash it again and has its own way to resume.
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
			return errors.New("range requests are not supported")
		}
		data = make([]byte, n)
		_, err = io.ReadFull(r.Response().Body, data)
		return err
	})
	return data, err
}

// set replaces the current answer. It closes the old one and, if b is closed, the new one.
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
	if b.resume(err) == nil {
		return n, nil
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("answer is incomplete: %w", err)
	}
	return n, fmt.Errorf("registry %s: %w", host, innermost(err))
}

// resume opens the blob again at the current offset.
func (b *body) resume(cause error) error {
	if b.offset > b.answerStart {
		b.emptyAnswers = 0
	}
	for ; b.emptyAnswers < maxResumes; b.emptyAnswers++ {
		slog.Debug("resume interrupted download", "cause", cause, "offset", b.offset)
		if err := sleep(b.ctx, resumeDelay<<b.emptyAnswers); err != nil {
			return err
		}
		if cause = b.open(); cause == nil {
			b.emptyAnswers++ // reset once the answer brings data
			return nil
		}
	}
	return cause
}

// Close implements io.Closer. It may be called during a Read.
func (b *body) Close() error {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer.close()
	return nil
}

// answer is the response to one request for a blob.
type answer struct {
	body     io.ReadCloser
	closer   io.Closer // regclient's response, which frees its connection slot
	host     string
	cancel   context.CancelFunc
	watchdog *time.Timer
	stalled  atomic.Bool
	readTime time.Duration // time spent in reads since the last check
	received int64         // bytes received in that time
}

// Read implements io.Reader. It fails with errStalled if the answer stalls.
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

// skip discards data that was received before, if the server does not support ranges.
func (a *answer) skip(n int64) error {
	_, err := io.CopyN(io.Discard, a, n)
	return err
}

func (a *answer) close() {
	a.cancel()
	a.watchdog.Stop()
	a.closer.Close()
}
