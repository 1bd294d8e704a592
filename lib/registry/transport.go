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

// A registry that is busy (429, 503) is asked again when it says (Retry-After, RFC 9110, 10.2.3), or else after
// firstWait, and twice as long each time; but not more than maxWaits times, nor after more than longestWait.
// A mirror is not waited for.
const (
	maxWaits    = 5
	longestWait = 10 * time.Minute
)

// What an answer may be long, in bytes: a registry, or a service that it names, is a stranger. Blobs are bounded by
// those that read them.
const (
	maxHeader = 64 << 10
	maxToken  = 64 << 10
	maxError  = 4 << 10
)

// Variables for the tests alone.
var (
	firstWait     = time.Second
	headerTimeout = 60 * time.Second // how long a server may think about the beginning of an answer
	answerTimeout = 60 * time.Second // how long an answer may take that is no blob, from the request to its end
)

// transport is the way to one registry. It notes refusals, for the message to the user, waits while the
// registry is busy, asks for the rest of a blob where a part is there, takes no login elsewhere, and bounds answers.
type transport struct {
	own      *http.Transport // to the registry itself
	other    *http.Transport // to all else that it names: without the client's certificates
	ctx      context.Context // for requests that bring none: regclient's for tokens
	host     string          // of the registry, for messages
	origin   string          // the one that the login is for
	verified bool            // it is https, and the certificate is verified
	fault    atomic.Pointer[error]
	notice   func(string)
	patient  bool // it waits: there is nobody else to ask
}

// refusal is what came of requests that were refused.
type refusal struct {
	status atomic.Int32 // of the last; 0: there was none
	gaveUp atomic.Bool  // it was waited for long enough: regclient asks again and again
}

type refusalKey struct{}

// noteRefusal returns a context whose requests note their refusals. (regclient returns the status
// within a text.)
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

// part is the part of a blob that is asked for, and what came instead. All requests for blobs, and no others, have one.
type part struct {
	offset int64
	length int64 // 0: all that follows
	start  int64 // where the answer begins: 0 if the server knows no ranges
	ranged bool  // the answer is the part
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
	base.DisableCompression = true // a blob is asked for as it is, and nothing swells on its way in
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
	// Without the query: what a redirect has in it may be a password.
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
		t.fault.Store(&err) // regclient makes a refusal of it
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
	t.bound(resp, p != nil, token)
	if r := refusalOf(req); resp.StatusCode >= 400 && resp.StatusCode != http.StatusUnauthorized {
		r.status.Store(int32(resp.StatusCode))
	}
	if p != nil && resp.StatusCode == http.StatusPartialContent {
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", p.offset)) {
			resp.Body.Close()
			return nil, fmt.Errorf("asked for what follows byte %d, and was given %.100q", p.offset, resp.Header.Get("Content-Range"))
		}
		p.start, p.ranged = p.offset, true
		resp.StatusCode = http.StatusOK // target regclient waits for
	}
	return resp, nil
}

func (p *part) header() string {
	if p.length > 0 {
		return fmt.Sprintf("bytes=%d-%d", p.offset, p.offset+p.length-1)
	}
	return fmt.Sprintf("bytes=%d-", p.offset)
}

// send sends a request once. All but a blob must have come within answerTimeout.
func (t *transport) send(req *http.Request) (*http.Response, error) {
	way := t.other
	if originOf(req.URL) == t.origin {
		way = t.own
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(answerTimeout, func() { cancel(fmt.Errorf("its answer takes longer than %s", answerTimeout)) })
	resp, err := way.RoundTrip(req.WithContext(ctx))
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

// timedBody is a body whose context ends with it. Where the context ended it, the error says why.
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

// bound lets the body of an answer be no longer than there is a use for.
func (t *transport) bound(resp *http.Response, blob, token bool) {
	limit := int64(maxManifest)
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400: // nothing reads it, but net/http
		resp.Body.Close()
		resp.Body = http.NoBody
		return
	case resp.StatusCode >= 400:
		limit = maxError
	case blob:
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

// boundedBody is a body of a limited length. What was wrong with it is noted as the fault.
type boundedBody struct {
	io.ReadCloser
	limit, left int64
	fault       *atomic.Pointer[error]
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		n, b.left, err = n-1, 0, fmt.Errorf("its answer is longer than %d KiB", b.limit>>10)
	}
	if err != nil && err != io.EOF && b.fault != nil {
		b.fault.Store(&err)
	}
	return n, err
}

// sendPatiently sends a request, again while the registry is busy.
func (t *transport) sendPatiently(req *http.Request) (*http.Response, error) {
	weary := &refusalOf(req).gaveUp
	for n := 0; ; n++ {
		resp, err := t.send(req)
		if err != nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
			return resp, err
		}
		wait, told := retryAfter(resp.Header.Get("Retry-After"))
		if !told {
			wait = firstWait << n
		}
		if !t.patient || req.Body != nil || n == maxWaits || wait > longestWait || weary.Load() {
			weary.Store(true)
			resp.Header.Del("Retry-After") // regclient would wait, however long
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

// retryAfter reads the header of that name: seconds, or a date.
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

// originOf returns what a login is for: a scheme, a host and a port. Another port of a host, or another host of a
// domain, may be the service of another user.
func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// follow returns an error where a redirect is not to be followed: from https to http, and with a request for a token to
// another host. What is fetched for a token is sent to the registry, which could have any machine near this one asked.
func follow(req *http.Request, token bool) error {
	if req.Response == nil {
		return nil
	}
	from := req.Response.Request.URL
	if from.Scheme == "https" && req.URL.Scheme != "https" || token && !strings.EqualFold(from.Hostname(), req.URL.Hostname()) {
		return fmt.Errorf("%.100q redirects to %.100q, which is not followed", originOf(from), originOf(req.URL))
	}
	return nil
}

// guard takes the login from a request that is not for the registry itself: a registry, or a machine on the way to it,
// may redirect to any place.
//
// The realm, which gives tokens, is often another host: auth.docker.io, gitlab.com. It gets the login by the rule of
// docker and containers/image, which is that the registry says where: it is given the login in any case if it asks for
// Basic in place of Bearer. But that is so only of the registry itself, so it must have shown its certificate, and
// the realm must show one as well.
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
		t.notice(fmt.Sprintf("registry %s wants the login sent to %.100q: it is not", t.host, to))
	}
	if req.Body != nil {
		req.Body.Close()
		return nil, fmt.Errorf("the login is not sent to %.100q", to)
	}
	req = req.Clone(req.Context())
	req.Header.Del("Authorization")
	req.Header.Del("Referer") // may be a signed address
	if login && token {
		query := req.URL.Query()
		query.Del("account") // the user's name
		req.URL.RawQuery = query.Encode()
	}
	return req, nil
}
