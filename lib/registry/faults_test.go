package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/image"
)

// shorten shortens all waits.
func shorten(t testing.TB) {
	oldWait, oldStall, oldDelay := firstWait, stallTimeout, resumeDelay
	firstWait, resumeDelay = time.Millisecond, time.Millisecond
	t.Cleanup(func() { firstWait, stallTimeout, resumeDelay = oldWait, oldStall, oldDelay })
}

// reset sends part of the layer and resets the connection.
func reset(n int) func(w http.ResponseWriter, data []byte) {
	return func(w http.ResponseWriter, data []byte) {
		begin(w, data, n)
		panic(http.ErrAbortHandler)
	}
}

func begin(w http.ResponseWriter, data []byte, n int) {
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.Write(data[:n])
	w.(*meter).ResponseWriter.(http.Flusher).Flush()
}

// hang sends part of the layer and then hangs.
func hang(t *testing.T, n int) func(w http.ResponseWriter, data []byte) {
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	return func(w http.ResponseWriter, data []byte) {
		begin(w, data, n)
		<-done
	}
}

func TestTransientFaults(t *testing.T) {
	const half = 512 << 10
	for name, c := range map[string]struct {
		fault func(t *testing.T) func(w http.ResponseWriter, data []byte)
		times int
		again float64 // maximum share of the layer that is fetched again
	}{
		"reset":       {func(*testing.T) func(http.ResponseWriter, []byte) { return reset(half) }, 1, 0.05},
		"reset early": {func(*testing.T) func(http.ResponseWriter, []byte) { return reset(0) }, maxResumes, 0.05},
		"stalled":     {func(t *testing.T) func(http.ResponseWriter, []byte) { return hang(t, half) }, 1, 0.05},
		"trickle": {func(t *testing.T) func(http.ResponseWriter, []byte) {
			return func(w http.ResponseWriter, data []byte) {
				begin(w, data, half)
				for i := half; i < len(data); i++ {
					if _, err := w.Write(data[i : i+1]); err != nil {
						return
					}
					w.(*meter).ResponseWriter.(http.Flusher).Flush()
					time.Sleep(10 * time.Millisecond)
				}
			}
		}, 1, 0.05},
		"bad gateway": {func(*testing.T) func(http.ResponseWriter, []byte) {
			return func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusBadGateway) }
		}, 1, 0},
		"busy": {func(*testing.T) func(http.ResponseWriter, []byte) {
			return func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusServiceUnavailable) }
		}, 3, 0},
		"wrong byte": {func(*testing.T) func(http.ResponseWriter, []byte) {
			return func(w http.ResponseWriter, data []byte) {
				data = bytes.Clone(data)
				data[len(data)/2] ^= 1
				w.Write(data)
			}
		}, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, store := newServer(t), newStore(t)
			stallTimeout = 300 * time.Millisecond
			s.layerFault(c.times, c.fault(t))
			if _, err := pull(t, store, s.host()+"/library/foo:1", Options{}); err != nil {
				t.Error(err)
			}
			if n := s.count(s.layer.String()); n != c.times+1 {
				t.Errorf("the layer was requested %d times", n)
			}
			if size, n := len(s.blobs[s.layer]), s.served.Load(); float64(n) > float64(size)*(1+c.again)+64<<10 {
				t.Errorf("%d bytes were fetched for %d", n, size)
			}
		})
	}
}

// TestPermanentFaults checks the number of requests for a layer with wrong content, and for one that never arrives.
func TestPermanentFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(w http.ResponseWriter, data []byte)
		want  string
		most  int
	}{
		"wrong":   {func(w http.ResponseWriter, data []byte) { w.Write(bytes.Repeat([]byte("x"), len(data))) }, "content has digest", 3},
		"resets":  {reset(10), "answer is incomplete", maxResumes + 2},
		"hangs":   {nil, "stalled: less than 32 KiB in", maxResumes + 2},
		"vanish":  {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusNotFound) }, "has no image", 2},
		"busy":    {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusServiceUnavailable) }, "answers 503", maxWaits + 2},
		"patient": {func(w http.ResponseWriter, _ []byte) { w.Header().Set("Retry-After", "100000"); w.WriteHeader(429) }, "too many requests", 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			stallTimeout = 100 * time.Millisecond
			if c.fault == nil {
				c.fault = hang(t, 10)
			}
			s.layerFault(100, c.fault)
			if _, err := pull(t, newStore(t), s.host()+"/library/foo:1", Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
			if n := s.count(s.layer.String()); n > c.most {
				t.Errorf("requested %d times", n)
			}
		})
	}
}

func TestManyPieces(t *testing.T) {
	s := newServer(t)
	size := len(s.blobs[s.layer])
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, s.layer.String()) {
			return false
		}
		var start int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start)
		w.Header().Set("Content-Length", strconv.Itoa(size-start))
		if start > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, size-1, size))
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write(s.blobs[s.layer][start:min(start+60000, size)])
		return true
	}
	if _, err := pull(t, newStore(t), s.host()+"/library/foo:1", Options{}); err != nil {
		t.Error(err)
	}
	if n := s.count(s.layer.String()); n < size/60000 {
		t.Errorf("%d answers", n)
	}
}

// TestRetryAfter checks that a pull waits as long as the registry asks, and tells the user.
func TestRetryAfter(t *testing.T) {
	s := newServer(t)
	var asked []time.Time
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if asked = append(asked, time.Now()); len(asked) > 2 {
			return false
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader([]int{429, 503}[len(asked)-1])
		return true
	}
	var said []string
	if _, err := pull(t, newStore(t), s.host()+"/library/foo:1", Options{Notice: func(text string) { said = append(said, text) }}); err != nil {
		t.Fatal(err)
	}
	if asked[1].Sub(asked[0]) < time.Second || asked[2].Sub(asked[1]) < time.Second {
		t.Errorf("asked at %v", asked)
	}
	want := []string{"registry " + s.host() + ": too many requests: waiting 1s", "registry " + s.host() + ": service unavailable: waiting 1s"}
	if !slices.Equal(said, want) {
		t.Errorf("said %q", said)
	}
	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	if d, ok := retryAfter(date); !ok || d < 59*time.Minute || d > time.Hour {
		t.Errorf("%s: %v", date, d)
	}
	for _, value := range []string{"", "-1", "soon", "1.5"} {
		if d, ok := retryAfter(value); ok {
			t.Errorf("%q: %v", value, d)
		}
	}
}

// TestInterruptedPullResumes checks that a pull that is interrupted in the middle of a layer ends long before the stall
// timeout, and that the next pull fetches only the rest.
func TestInterruptedPullResumes(t *testing.T) {
	s, store := newServer(t), newStore(t)
	ctx, stop := context.WithCancel(context.Background())
	half := len(s.blobs[s.layer]) / 2
	wait := hang(t, half)
	s.layerFault(1, func(w http.ResponseWriter, data []byte) {
		time.AfterFunc(500*time.Millisecond, stop)
		wait(w, data)
	})
	ref, err := image.ParseReference(s.host() + "/library/foo:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pullUntil(ctx, store, ref, Options{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s.served.Store(0)
	if _, err := pull(t, store, s.host()+"/library/foo:1", Options{}); err != nil {
		t.Fatal(err)
	}
	if n, want := s.served.Load(), int64(len(s.blobs[s.layer])-half); n > want*21/20+64<<10 {
		t.Errorf("%d bytes were fetched where %d were missing", n, want)
	}
}

// TestNoRanges resumes from a registry without range support, which sends the whole blob.
func TestNoRanges(t *testing.T) {
	s := newServer(t)
	s.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, s.layer.String()) {
			return false
		}
		if s.count(s.layer.String()) == 1 {
			reset(300<<10)(&meter{w, s}, s.blobs[s.layer])
		}
		w.Write(s.blobs[s.layer])
		return true
	}
	if _, err := pull(t, newStore(t), s.host()+"/library/foo:1", Options{}); err != nil {
		t.Error(err)
	}
}

// TestManyAtOnce checks that twenty concurrent pulls fetch each blob once.
func TestManyAtOnce(t *testing.T) {
	s, store := newServer(t), newStore(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := pull(t, store, s.host()+"/library/foo:1", Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for d := range s.blobs {
		if n := s.count("/blobs/" + d.String()); n > 1 {
			t.Errorf("%s was fetched %d times", d, n)
		}
	}
}

// TestLoginStaysWithRegistry checks that a login is sent neither to the target of a redirect nor to an unverified realm.
func TestLoginStaysWithRegistry(t *testing.T) {
	for _, kind := range []string{"redirect", "realm", "realm with a token"} {
		t.Run(kind, func(t *testing.T) {
			s := newServer(t)
			var stolen []string
			other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.ParseForm()
				if r.Header.Get("Authorization") != "" || r.Form.Get("refresh_token")+r.Form.Get("password") != "" {
					stolen = append(stolen, r.Method+" "+r.URL.String())
				}
				if kind == "redirect" {
					s.ServeHTTP(w, r)
					return
				}
				fmt.Fprint(w, `{"token":"anonymous"}`)
			}))
			defer other.Close()
			elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
			s.fault = func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case kind == "redirect" && r.Host != s.host():
					return false // the request is for the other server
				case r.Header.Get("Authorization") == "":
					w.Header().Set("WWW-Authenticate", map[bool]string{true: `Basic realm="x"`,
						false: `Bearer realm="` + elsewhere + `/token",service="x",scope="repository:library/foo:pull"`}[kind == "redirect"])
					w.WriteHeader(http.StatusUnauthorized)
					return true
				case kind == "redirect" && strings.Contains(r.URL.Path, "/blobs/"):
					http.Redirect(w, r, elsewhere+r.URL.Path, http.StatusTemporaryRedirect)
					return true
				}
				return false
			}
			login := map[string]any{"auth": "bWU6c2VjcmV0"}
			if kind == "realm with a token" {
				login = map[string]any{"identitytoken": "secret", "auth": "bWU6"}
			}
			logIn(t, s.host(), login)
			if _, err := pull(t, newStore(t), s.host()+"/library/foo:1", Options{}); err != nil && kind != "realm with a token" {
				t.Error(err)
			}
			if len(stolen) > 0 {
				t.Errorf("the login was sent elsewhere: %q", stolen)
			}
		})
	}
}
