package registry

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weikeit/mydocker/lib/linux"
)

// A request that a busy registry refuses (429, 503) is retried after the time in Retry-After (RFC 9110, 10.2.3), or after
// firstWait, doubled each time. It is retried at most maxWaits times, with no wait longer than longestWait. Mirrors are
// not retried.
const (
	maxWaits    = 5
	longestWait = 10 * time.Minute
)

// Limits on answers, in bytes. A registry, or a token service that it names, is untrusted. Blobs are limited by their
// readers.
const (
	maxHeader = 64 << 10
	maxToken  = 64 << 10
	maxError  = 4 << 10
)

// Variables, so that tests can change them.
var (
	firstWait     = time.Second
	headerTimeout = 60 * time.Second // from the request to the header of the answer
	answerTimeout = 60 * time.Second // from the request to the end of an answer that is not a blob
)

// transport is the HTTP transport for one registry. It records refusals for error messages, waits while the registry is
// busy, requests ranges of blobs, sends logins only to the registry, and limits answers.
type transport struct {
	own      *http.Transport // to the registry
	other    *http.Transport // to other hosts, without client certificates
	ctx      context.Context // for requests without one: regclient's token requests
	host     string          // of the registry, for messages
	origin   string          // origin that the login is for
	verified bool            // HTTPS with a verified certificate
	fault    atomic.Pointer[error]
	notice   func(string)
	patient  bool // wait if the registry is busy: there is no other endpoint
}

// refusal records refused requests.
type refusal struct {
	status atomic.Int32 // of the last refused request; 0 for none
	gaveUp atomic.Bool  // do not wait again: regclient retries on its own
}

type refusalKey struct{}

// noteRefusal returns a context whose requests record their refusals. regclient returns the status only as text.
func noteRefusal(ctx context.Context) (context.Context, *refusal) {
	r := new(refusal)
	return context.WithValue(ctx, refusalKey{}, r), r
}

func refusalOf(req *http.Request) *refusal {
	if r, ok := req.Context().Value(refusalKey{}).(*refusal); ok {
		return r
	}
	return new(refusal)
}

// part is the requested range of a blob, and the range of the answer. All requests for blobs, and only those, have one.
type part struct {
	offset int64
	length int64 // 0 for the rest of the blob
	start  int64 // offset of the answer: 0 if the server does not support ranges
	ranged bool  // the answer is the requested range
}

type partKey struct{}

func partOf(req *http.Request) *part {
	p, _ := req.Context().Value(partKey{}).(*part)
	return p
}

func newTransport(ctx context.Context, e endpoint, own *tls.Config) *transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = headerTimeout
	base.MaxResponseHeaderBytes = maxHeader
	base.DisableCompression = true // blobs are digested as sent, and a compressed answer could exceed the limits
	base.ReadBufferSize = 64 << 10
	base.ForceAttemptHTTP2 = true
	t := &transport{own: base, other: base.Clone(), ctx: ctx, host: e.host, verified: !e.insecure, notice: func(string) {}}
	t.own.TLSClientConfig = own
	t.other.TLSClientConfig = own.Clone()
	t.other.TLSClientConfig.Certificates = nil
	return t
}

func (t *transport) close() {
	t.own.CloseIdleConnections()
	t.other.CloseIdleConnections()
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	// Without the query, which may contain a secret after a redirect.
	linux.Trace("curl", "-sS", "-X", req.Method, (&url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path}).String())
	token := req.Context().Value(refusalKey{}) == nil
	if !token {
		return t.roundTrip(req, false)
	}
	if req.Response == nil {
		t.fault.Store(nil)
	}
	resp, err := t.roundTrip(req.WithContext(t.ctx), true)
	if err != nil {
		t.fault.Store(&err) // regclient reports it as an authorization failure
	}
	return resp, err
}

func (t *transport) roundTrip(req *http.Request, token bool) (*http.Response, error) {
	if err := follow(req, token); err != nil {
		return nil, err
	}
	req, err := t.guard(req, token)
	if err != nil {
		return nil, err
	}
	p := partOf(req)
	if p != nil && (p.offset > 0 || p.length > 0) {
		req = req.Clone(req.Context())
		req.Header.Set("Range", p.header())
	}
	resp, err := t.sendPatiently(req)
	if err != nil {
		return nil, err
	}
	t.bound(resp, p, token)
	if r := refusalOf(req); resp.StatusCode >= 400 && resp.StatusCode != http.StatusUnauthorized {
		r.status.Store(int32(resp.StatusCode))
	}
	if p != nil && resp.StatusCode == http.StatusPartialContent {
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", p.offset)) {
			resp.Body.Close()
			return nil, fmt.Errorf("request range from byte %d: got Content-Range %.100q", p.offset, resp.Header.Get("Content-Range"))
		}
		p.start, p.ranged = p.offset, true
		resp.StatusCode = http.StatusOK // regclient expects 200
	}
	return resp, nil
}

func (p *part) header() string {
	if p.length > 0 {
		return fmt.Sprintf("bytes=%d-%d", p.offset, p.offset+p.length-1)
	}
	return fmt.Sprintf("bytes=%d-", p.offset)
}

// send sends a request once. An answer other than a blob must be complete within answerTimeout.
func (t *transport) send(req *http.Request) (*http.Response, error) {
	base := t.other
	if originOf(req.URL) == t.origin {
		base = t.own
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(answerTimeout, func() { cancel(fmt.Errorf("answer takes longer than %s", answerTimeout)) })
	resp, err := base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		timer.Stop()
		cancel(nil)
		return nil, err
	}
	if partOf(req) != nil && resp.StatusCode < 300 {
		timer.Stop()
	}
	resp.Body = &timedBody{resp.Body, ctx, func() { timer.Stop(); cancel(nil) }}
	return resp, nil
}

// timedBody is a body that cancels its context when closed. If the context ends first, Read returns its cause.
type timedBody struct {
	io.ReadCloser
	ctx  context.Context
	stop func()
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if cause := context.Cause(b.ctx); err != nil && err != io.EOF && cause != nil {
		err = cause
	}
	return n, err
}

func (b *timedBody) Close() error {
	b.stop()
	return b.ReadCloser.Close()
}

// bound limits the length of an answer's body. p is not nil for blobs.
func (t *transport) bound(resp *http.Response, p *part, token bool) {
	limit := int64(maxManifest)
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400: // only net/http would read it
		resp.Body.Close()
		resp.Body = http.NoBody
		return
	case resp.StatusCode >= 400:
		limit = maxError
	case p != nil:
		return
	case token:
		limit = maxToken
	}
	b := &boundedBody{ReadCloser: resp.Body, limit: limit, left: limit}
	if token && resp.StatusCode < 300 {
		b.fault = &t.fault
	}
	resp.Body = b
}

// boundedBody is a body of limited length. It records read errors in fault.
type boundedBody struct {
	io.ReadCloser
	limit, left int64
	fault       *atomic.Pointer[error]
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		n, b.left, err = n-1, 0, fmt.Errorf("answer is longer than %d KiB", b.limit>>10)
	}
	if err != nil && err != io.EOF && b.fault != nil {
		b.fault.Store(&err)
	}
	return n, err
}

// sendPatiently sends a request, and sends it again while the registry is busy.
func (t *transport) sendPatiently(req *http.Request) (*http.Response, error) {
	gaveUp := &refusalOf(req).gaveUp
	for n := 0; ; n++ {
		resp, err := t.send(req)
		if err != nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
			return resp, err
		}
		wait, ok := retryAfter(resp.Header.Get("Retry-After"))
		if !ok {
			wait = firstWait << n
		}
		if !t.patient || req.Body != nil || n == maxWaits || wait > longestWait || gaveUp.Load() {
			gaveUp.Store(true)
			resp.Header.Del("Retry-After") // regclient would wait without a limit
			return resp, nil
		}
		resp.Body.Close()
		if wait >= time.Second {
			t.notice(fmt.Sprintf("registry %s: %s: waiting %s", req.URL.Host, strings.ToLower(http.StatusText(resp.StatusCode)), wait.Round(time.Second)))
		}
		if err := sleep(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// retryAfter parses a Retry-After header: seconds or a date.
func retryAfter(value string) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(time.Until(date), 0), true
	}
	return 0, false
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// originOf returns the origin of a URL: scheme, host and port. Logins are bound to an origin: another port of the host,
// or another host of the domain, may belong to another user.
func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// follow refuses redirects from HTTPS to HTTP, and redirects of token requests to another host. The answer to a token
// request is sent to the registry, so a malicious registry could read any server that this machine can reach.
func follow(req *http.Request, token bool) error {
	if req.Response == nil {
		return nil
	}
	from := req.Response.Request.URL
	if from.Scheme == "https" && req.URL.Scheme != "https" || token && !strings.EqualFold(from.Hostname(), req.URL.Hostname()) {
		return fmt.Errorf("redirect from %.100q to %.100q is not followed", originOf(from), originOf(req.URL))
	}
	return nil
}

// guard removes the login from a request to another origin than the registry's, since a registry, or a machine on the
// path to it, may redirect anywhere.
//
// The realm that issues tokens is often another host (auth.docker.io, gitlab.com). As in docker and containers/image,
// the registry decides which: it could also get the login for itself by asking for Basic instead of Bearer. That holds
// only for the real registry, so both the registry and the realm must have a verified certificate.
func (t *transport) guard(req *http.Request, token bool) (*http.Request, error) {
	to := originOf(req.URL)
	first := req
	for first.Response != nil {
		first = first.Response.Request
	}
	if to == t.origin || token && t.verified && req.URL.Scheme == "https" && to == originOf(first.URL) {
		return req, nil
	}
	login := req.Header.Get("Authorization") != ""
	if token && req.Response == nil && (login || req.Body != nil) {
		t.notice(fmt.Sprintf("registry %s: login was not sent to %.100q: both must use verified HTTPS", t.host, to))
	}
	if req.Body != nil {
		req.Body.Close()
		return nil, fmt.Errorf("refuse to send login to %.100q", to)
	}
	req = req.Clone(req.Context())
	req.Header.Del("Authorization")
	req.Header.Del("Referer") // may be a signed URL
	if login && token {
		query := req.URL.Query()
		query.Del("account") // the user's name
		req.URL.RawQuery = query.Encode()
	}
	return req, nil
}
