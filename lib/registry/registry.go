// Package registry fetches images from registries (OCI distribution-spec, docker's registry API v2) into the store of
// lib/image. It is linked into md-pull only.
//
// Logins are those of docker: config.json in $DOCKER_CONFIG or ~/.docker, and its credential helpers. Certificates are in
// the directories of docker and podman (certificates.go). Mirrors are in containers-registries.conf(5), version 2:
// $CONTAINERS_REGISTRIES_CONF, else /etc/mydocker/registries.conf, else /etc/containers/registries.conf. An image keeps
// its name, whichever mirror it comes from.
package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/regclient/regclient"
	regconfig "github.com/regclient/regclient/config"
	"github.com/regclient/regclient/scheme/reg"
	"github.com/regclient/regclient/types/errs"
	"github.com/regclient/regclient/types/manifest"
	"github.com/regclient/regclient/types/ref"

	"github.com/weikeit/mydocker/lib/image"
)

// Options are the options of [Open].
type Options struct {
	Insecure bool              // allow plain HTTP and unverified HTTPS; always allowed for loopback addresses
	CertDir  string            // certificates of the registry, instead of the certs.d directories; not used for mirrors
	Notice   func(text string) // called with the reason of a delay; may be nil
}

// maxManifest limits manifests in bytes, as docker does.
const maxManifest = 4 << 20

// source is an image in a registry and its mirrors.
type source struct {
	ref     image.Reference
	clients []*client    // in the order in which they are tried
	first   atomic.Int32 // index of the client that worked last; it is tried first
}

// client is a client of one endpoint.
type client struct {
	endpoint
	rc        *regclient.RegClient
	transport *transport
}

// Open returns an image as a source. It sends no requests yet; it only checks whether an insecure registry supports TLS.
func Open(ctx context.Context, name image.Reference, opts Options) (image.Source, error) {
	c, err := readConfig()
	if err != nil {
		return nil, err
	}
	endpoints, err := c.endpoints(name, opts.Insecure)
	if err != nil {
		return nil, err
	}
	s := &source{ref: name}
	for i, e := range endpoints {
		dir := ""
		if i == len(endpoints)-1 {
			dir = opts.CertDir
		}
		c, err := newClient(ctx, e, dir)
		if err != nil {
			return nil, err
		}
		if opts.Notice != nil {
			c.transport.notice = opts.Notice
		}
		c.transport.patient = i == len(endpoints)-1 // otherwise the next endpoint is tried
		s.clients = append(s.clients, c)
	}
	return s, nil
}

func newClient(ctx context.Context, e endpoint, certDir string) (*client, error) {
	tlsConfig, err := readCertificates(certDir, e)
	if err != nil {
		return nil, fmt.Errorf("registry %s: %w", e.host, err)
	}
	host := regconfig.Host{Name: e.host, TLS: regconfig.TLSEnabled, ReqConcurrent: 8}
	scheme := "https"
	if e.insecure && !speaksTLS(ctx, e.host, tlsConfig) {
		host.TLS, scheme = regconfig.TLSDisabled, "http"
	}
	t := newTransport(ctx, e, tlsConfig)
	t.origin = originOf(&url.URL{Scheme: scheme, Host: regconfig.HostNewName(e.host).Hostname})
	rc := regclient.New(
		regclient.WithSlog(slog.New(quiet{})),
		regclient.WithUserAgent("mydocker"),
		regclient.WithDockerCreds(),
		regclient.WithConfigHost(host),
		regclient.WithRegOpts(
			reg.WithHTTPClient(&http.Client{Transport: t}),
			reg.WithRetryLimit(3),
			reg.WithDelay(resumeDelay, 10*time.Second),
			reg.WithManifestMax(maxManifest, maxManifest),
		))
	return &client{endpoint: e, rc: rc, transport: t}, nil
}

// speaksTLS reports whether an insecure registry supports TLS.
func speaksTLS(ctx context.Context, host string, config *tls.Config) bool {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), "443")
	}
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	d := tls.Dialer{Config: config} // verifies nothing: the registry is insecure
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// Reference implements image.Source.
func (s *source) Reference() image.Reference { return s.ref }

// Close implements image.Source.
func (s *source) Close() error {
	for _, c := range s.clients {
		c.transport.close()
	}
	return nil
}

// Root implements image.Source.
func (s *source) Root(ctx context.Context) (v1.Descriptor, []byte, error) {
	return s.manifest(ctx, s.ref.Tag, s.ref.Digest)
}

// Manifest implements image.Source.
func (s *source) Manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	_, data, err := s.manifest(ctx, "", d.Digest)
	return data, err
}

func (s *source) manifest(ctx context.Context, tag string, d digest.Digest) (v1.Descriptor, []byte, error) {
	var found manifest.Manifest
	err := s.each(ctx, target(tag, d), func(ctx context.Context, c *client) (err error) {
		found, err = c.rc.ManifestGet(ctx, c.ref(tag, d))
		return err
	})
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	data, err := found.RawBody()
	desc := found.GetDescriptor()
	return v1.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: int64(len(data))}, data, err
}

// each calls do for each endpoint until one succeeds. If all fail, it returns all their errors.
func (s *source) each(ctx context.Context, what string, do func(context.Context, *client) error) error {
	var reasons []string
	first := int(s.first.Load())
	for i := range s.clients {
		n := i
		switch { // s.first, then the others in order
		case i == 0:
			n = first
		case i <= first:
			n = i - 1
		}
		c := s.clients[n]
		noted, refused := noteRefusal(ctx)
		err := do(noted, c)
		if err == nil {
			s.first.Store(int32(n))
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		slog.Debug("registry: "+c.host, "error", err)
		reasons = append(reasons, c.explain(err, int(refused.status.Load()), what).Error())
	}
	return errors.New(strings.Join(reasons, "; "))
}

// target describes a tag or a digest for errors.
func target(tag string, d digest.Digest) string {
	if d != "" {
		return "content " + d.String()
	}
	return "tag " + tag
}

func (c *client) ref(tag string, d digest.Digest) ref.Ref {
	r := ref.Ref{Scheme: "reg", Registry: c.host, Repository: c.path}
	if d != "" {
		return r.SetDigest(d.String())
	}
	return r.SetTag(tag)
}

// explain turns an error of regclient into one line: what failed, why, and what to do. It truncates quoted errors: they
// may contain text of any length from the registry, such as addresses and the names in a certificate.
func (c *client) explain(err error, status int, what string) error {
	var network net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	fault := c.transport.fault.Load()
	switch {
	case errors.Is(err, errs.ErrNotFound) || status == http.StatusNotFound:
		return fmt.Errorf("registry %s has no image %s with %s: check its name and tag", c.host, c.path, what)
	case fault != nil:
		return fmt.Errorf("registry %s: get token: %.300s", c.host, innermost(*fault))
	case errors.Is(err, errs.ErrHTTPUnauthorized), errors.Is(err, errs.ErrNoNewChallenge), errors.Is(err, errs.ErrEmptyChallenge), status == http.StatusForbidden:
		return fmt.Errorf("registry %s denies access to image %s: log in (docker login %s), or check the name", c.host, c.path, c.host)
	case errors.Is(err, errs.ErrHTTPRateLimit) || status == http.StatusTooManyRequests:
		return fmt.Errorf("registry %s: too many requests: log in, wait, or set up a mirror in %s", c.host, ownConfig)
	case status >= 500:
		return fmt.Errorf("registry %s answers %d %s: try again later", c.host, status, http.StatusText(status))
	case errors.As(err, &certificate):
		return fmt.Errorf("registry %s: %.300s: add its certificate authority as /etc/docker/certs.d/%s/ca.crt, or use --insecure", c.host, certificate.Err, c.host)
	case errors.As(err, &record):
		return fmt.Errorf("registry %s does not support HTTPS: use --insecure for plain HTTP", c.host)
	case errors.As(err, &op) && op.Op == "remote error":
		return fmt.Errorf("registry %s closed the connection: %.300s: it may require a client certificate, in /etc/docker/certs.d/%s", c.host, op.Err, c.host)
	case errors.As(err, &network):
		return fmt.Errorf("registry %s cannot be reached: %.300s", c.host, innermost(network))
	}
	if status >= 400 {
		return fmt.Errorf("registry %s answers %d %s", c.host, status, http.StatusText(status))
	}
	return fmt.Errorf("registry %s: %.300s", c.host, err)
}

// innermost strips the request from a network error: its URL is long and adds no information.
func innermost(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

// quiet logs regclient's messages at debug level. It drops trace messages, which contain complete headers.
type quiet struct{ attrs []slog.Attr }

// Enabled implements slog.Handler.
func (quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelDebug && slog.Default().Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	own := slog.NewRecord(r.Time, slog.LevelDebug, "registry: "+r.Message, r.PC)
	own.AddAttrs(q.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		own.AddAttrs(a)
		return true
	})
	return slog.Default().Handler().Handle(ctx, own)
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{append(q.attrs[:len(q.attrs):len(q.attrs)], attrs...)}
}

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(string) slog.Handler { return q }
