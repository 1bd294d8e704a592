package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
)

// How often one answer is resumed, and how long the server may think about its beginning.
const (
	maxResumes    = 5
	headerTimeout = 60 * time.Second
)

// transport is the way to one registry. It notes refusals, for the message to the user, and resumes
// a body that broke off by asking for the rest (RFC 9110, 14.2).
type transport struct {
	base *http.Transport
}

// refusal is the status of the last answer to a request that was an error; 0: there was none.
type refusal struct{ status atomic.Int32 }

type refusalKey struct{}

// noteRefusal returns a context whose requests note their refusals. (regclient returns the status
// within a text.)
func noteRefusal(ctx context.Context) (context.Context, *refusal) {
	r := new(refusal)
	return context.WithValue(ctx, refusalKey{}, r), r
}

func newTransport(insecure bool) *transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = headerTimeout
	base.DisableCompression = true // a blob is asked for as it is
	base.ReadBufferSize = 64 << 10
	base.ForceAttemptHTTP2 = true
	if insecure {
		base.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the user asked for it, or it is loopback
	}
	return &transport{base: base}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	// Without the query: what a redirect has in it may be a password.
	linux.Trace("curl", "-sS", "-X", req.Method, (&url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path}).String())
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if r, ok := req.Context().Value(refusalKey{}).(*refusal); ok && resp.StatusCode >= 400 && resp.StatusCode != http.StatusUnauthorized {
		r.status.Store(int32(resp.StatusCode))
	}
	if req.Method == http.MethodGet && resp.StatusCode == http.StatusOK && req.Header.Get("Range") == "" {
		resp.Body = &resumer{ReadCloser: resp.Body, transport: t, req: req, total: resp.ContentLength}
	}
	return resp, nil
}

// resumer is a body that goes on where the connection broke off.
type resumer struct {
	io.ReadCloser
	transport *transport
	req       *http.Request
	offset    int64
	total     int64 // -1: not known
	resumes   int
}

// Read implements io.Reader.
func (r *resumer) Read(p []byte) (int, error) {
	for {
		n, err := r.ReadCloser.Read(p)
		r.offset += int64(n)
		if err == nil || err == io.EOF || r.req.Context().Err() != nil {
			return n, err
		}
		if failed := r.resume(); failed != nil {
			slog.Debug("a download broke off and cannot be resumed", "cause", err, "reason", failed)
			return n, err
		}
		slog.Debug("a download broke off and is resumed", "cause", err, "offset", r.offset)
		if n > 0 {
			return n, nil
		}
	}
}

// resume asks for the rest.
func (r *resumer) resume() error {
	if r.total <= 0 || r.resumes == maxResumes {
		return errors.New("its length is not known, or it broke off too often")
	}
	r.resumes++
	req := r.req.Clone(r.req.Context())
	want := fmt.Sprintf("bytes %d-", r.offset)
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-", r.offset))
	resp, err := r.transport.base.RoundTrip(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusPartialContent || !strings.HasPrefix(resp.Header.Get("Content-Range"), want) {
		resp.Body.Close()
		return fmt.Errorf("status %d for a range", resp.StatusCode)
	}
	r.ReadCloser.Close()
	r.ReadCloser = resp.Body
	return nil
}
