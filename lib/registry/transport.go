package registry

import (
	"context"
	"crypto/tls"
	"fmt"
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

// Variables for the tests alone.
var (
	firstWait     = time.Second
	headerTimeout = 60 * time.Second // how long a server may think about the beginning of an answer
)

// transport is the way to one registry. It notes refusals, for the message to the user, waits while the
// registry is busy, asks for the rest of a blob where a part is there, and takes no login elsewhere.
type transport struct {
	base    *http.Transport
	ctx     context.Context // for requests that bring none: regclient's for tokens
	host    string          // of the registry
	notice  func(string)
	patient bool // it waits: there is nobody else to ask
}

// refusal is what came of requests that were refused.
type refusal struct {
	status atomic.Int32 // of the last; 0: there was none
	weary  atomic.Bool  // it was waited for long enough: regclient asks again and again
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

// part is the part of a blob that is asked for, and what came instead.
type part struct {
	offset int64
	start  int64 // where the answer begins: 0 if the server knows no ranges
}

type partKey struct{}

func newTransport(ctx context.Context, host string, insecure bool) *transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = headerTimeout
	base.DisableCompression = true // a blob is asked for as it is
	base.ReadBufferSize = 64 << 10
	base.ForceAttemptHTTP2 = true
	if insecure {
		base.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the user asked for it, or it is loopback
	}
	return &transport{base: base, ctx: ctx, host: host, notice: func(string) {}}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	// Without the query: what a redirect has in it may be a password.
	linux.Trace("curl", "-sS", "-X", req.Method, (&url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path}).String())
	if req.Context().Value(refusalKey{}) == nil {
		req = req.WithContext(t.ctx)
	}
	req, err := t.guard(req)
	if err != nil {
		return nil, err
	}
	p, _ := req.Context().Value(partKey{}).(*part)
	if p != nil && isBlob(req) && p.offset > 0 {
		req = req.Clone(req.Context())
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.offset))
	}
	resp, err := t.persist(req)
	if err != nil {
		return nil, err
	}
	if r := refusalOf(req); resp.StatusCode >= 400 && resp.StatusCode != http.StatusUnauthorized {
		r.status.Store(int32(resp.StatusCode))
	}
	if p != nil && resp.StatusCode == http.StatusPartialContent {
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", p.offset)) {
			resp.Body.Close()
			return nil, fmt.Errorf("asked for what follows byte %d, and was given %.100q", p.offset, resp.Header.Get("Content-Range"))
		}
		p.start = p.offset
		resp.StatusCode = http.StatusOK // what regclient waits for
	}
	return resp, nil
}

// isBlob reports whether a request is for a blob, or for where one was redirected to: not for the token
// that comes first.
func isBlob(req *http.Request) bool {
	for !strings.Contains(req.URL.Path, "/blobs/") {
		if req.Response == nil { // nobody redirected it
			return false
		}
		req = req.Response.Request
	}
	return true
}

// persist sends a request, again while the registry is busy.
func (t *transport) persist(req *http.Request) (*http.Response, error) {
	weary := &refusalOf(req).weary
	for n := 0; ; n++ {
		resp, err := t.base.RoundTrip(req)
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

// guard takes the login from a request to a site that is not the registry's: a registry, or somebody on the
// way to it, may name any host as the one that gives tokens, or redirect to it.
func (t *transport) guard(req *http.Request) (*http.Request, error) {
	host := req.URL.Hostname()
	if sameSite(host, (&url.URL{Host: t.host}).Hostname()) || req.Body == nil && req.Header.Get("Authorization") == "" {
		return req, nil
	}
	t.notice(fmt.Sprintf("registry %s wants the login sent to %.100q, another site: it is not", t.host, host))
	if req.Body != nil {
		req.Body.Close()
		return nil, fmt.Errorf("the login is not sent to %.100q", host)
	}
	req = req.Clone(req.Context())
	req.Header.Del("Authorization")
	return req, nil
}

// sameSite reports whether two hosts are one, or of one domain that somebody owns: registry-1.docker.io and
// auth.docker.io. Of two short labels (co.uk, com.au) nobody is taken for the owner.
func sameSite(a, b string) bool {
	if a == b {
		return true
	}
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	if len(x) < 2 || len(y) < 2 || net.ParseIP(a) != nil || net.ParseIP(b) != nil {
		return false
	}
	same := 0
	for same < min(len(x), len(y)) && x[len(x)-1-same] == y[len(y)-1-same] {
		same++
	}
	short := len(x[len(x)-1]) == 2 && len(x[len(x)-2]) <= 3
	return same >= 3 || same == 2 && !short
}
