package image

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Defaults for short names.
const (
	defaultDomain    = "docker.io"
	defaultNamespace = "library/"
	defaultTag       = "latest"
)

// Reference is the full name of an image. The short name mysql stands for docker.io, library/mysql, latest. Either Tag
// or Digest is set: a tag next to a digest is dropped. The grammar is that of distribution/reference; its regular
// expressions are not used, since every program that links them would compile them at start.
type Reference struct {
	Domain string // docker.io, 127.0.0.1:5000
	Path   string // library/mysql
	Tag    string // 5.7.25
	Digest digest.Digest
}

// ParseReference parses a name: [DOMAIN/]PATH[:TAG][@DIGEST].
func ParseReference(s string) (Reference, error) {
	ref, err := parseReference(s)
	if err != nil {
		return Reference{}, fmt.Errorf("image name %.300q: %w", s, err)
	}
	return ref, nil
}

func parseReference(s string) (Reference, error) {
	var ref Reference
	name, dgst, pinned := strings.Cut(s, "@")
	if pinned {
		ref.Digest = digest.Digest(dgst)
		if err := checkDigest(ref.Digest); err != nil {
			return ref, err
		}
	}
	// A colon after the last slash starts the tag; a colon before it, a port.
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.Contains(name[i:], "/") {
		if name, ref.Tag = name[:i], name[i+1:]; !isTag(ref.Tag) {
			return ref, fmt.Errorf("tag %.140q: want up to 128 letters, digits, _ . or -, and not . or - first", ref.Tag)
		}
	}
	switch {
	case name == "":
		return ref, errors.New("name is empty")
	case isID(s):
		return ref, errors.New("64 hexadecimal digits are reserved for image ids")
	}
	ref.Domain, ref.Path = splitDomain(name)
	switch {
	case !isDomain(ref.Domain):
		return ref, fmt.Errorf("registry %.300q: want HOST or HOST:PORT", ref.Domain)
	case len(ref.Path) > 255: // without the registry, as in distribution/reference since v0.6
		return ref, errors.New("name is longer than 255 characters")
	}
	for _, part := range strings.Split(ref.Path, "/") {
		if !isPathComponent(part) {
			return ref, errors.New("want lower-case letters and digits, separated by . _ __ - or /")
		}
	}
	switch {
	case pinned:
		ref.Tag = ""
	case ref.Tag == "":
		ref.Tag = defaultTag
	}
	return ref, nil
}

// splitDomain splits a name into registry and path. The first element is a registry only if it looks like a host: it
// has a dot, a colon or an upper-case letter, or is localhost.
func splitDomain(name string) (domain, path string) {
	first, rest, found := strings.Cut(name, "/")
	if !found || (!strings.ContainsAny(first, ".:") && first != "localhost" && strings.ToLower(first) == first) {
		domain, path = defaultDomain, name
	} else {
		domain, path = first, rest
	}
	if domain == "index.docker.io" {
		domain = defaultDomain
	}
	if domain == defaultDomain && !strings.Contains(path, "/") {
		path = defaultNamespace + path
	}
	return domain, path
}

// String returns the familiar form: mysql:5.7.25, 127.0.0.1:5000/foo:1, mysql@sha256:….
func (r Reference) String() string {
	if r == (Reference{}) {
		return ""
	}
	if r.Digest != "" {
		return r.Repo() + "@" + r.Digest.String()
	}
	return r.Repo() + ":" + r.Tag
}

// Repo returns the name without tag and digest. It is the familiar form (mysql, 127.0.0.1:5000/foo), or the full one if
// the familiar form would be parsed as another name (docker.io/localhost/foo).
func (r Reference) Repo() string {
	full := r.Domain + "/" + r.Path
	if r.Domain != defaultDomain {
		return full
	}
	familiar := r.Path
	if rest, ok := strings.CutPrefix(r.Path, defaultNamespace); ok && !strings.Contains(rest, "/") {
		familiar = rest
	}
	if domain, path := splitDomain(familiar); domain != r.Domain || path != r.Path || isID(familiar) {
		return full
	}
	return familiar
}

// checkDigest checks that d is a sha256 or sha512 digest. Other values are not safe in a path.
func checkDigest(d digest.Digest) error {
	algorithm, hex, _ := strings.Cut(string(d), ":")
	if sizes := map[string]int{"sha256": 64, "sha512": 128}; len(hex) != sizes[algorithm] || !isHex(hex) || hex == "" {
		return fmt.Errorf("digest %.140q: want sha256: and 64 hexadecimal digits, or sha512: and 128", string(d))
	}
	return nil
}

// isID reports whether a name has the form of an image id.
func isID(name string) bool { return len(name) == 64 && isHex(name) }

func isHex(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !('0' <= r && r <= '9' || 'a' <= r && r <= 'f') }) < 0
}

func isTag(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && !strings.ContainsRune("_.-", rune(c)) {
			return false
		}
	}
	return true
}

// isPathComponent reports whether s has lower-case letters and digits, separated by one dot, one or two underscores, or
// dashes.
func isPathComponent(s string) bool {
	for s != "" {
		n := strings.IndexFunc(s, func(r rune) bool { return !('a' <= r && r <= 'z' || '0' <= r && r <= '9') })
		if n < 0 {
			return true
		}
		rest := strings.TrimLeft(s[n:], "._-")
		sep := s[n : len(s)-len(rest)]
		if n == 0 || (sep != "." && sep != "_" && sep != "__" && (sep == "" || strings.Trim(sep, "-") != "")) {
			return false
		}
		s = rest
	}
	return false
}

// isDomain reports whether s is a host, of labels with letters, digits and inner dashes, or an [IPv6] address, with an
// optional port.
func isDomain(s string) bool {
	host, port := s, "0"
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, port = s[:i], s[i+1:]
	}
	if port == "" || strings.Trim(port, "0123456789") != "" {
		return false
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && inner != "" && strings.Trim(inner, "0123456789abcdefABCDEF:") == ""
	}
	for _, label := range strings.Split(host, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if !isAlnum(label[i]) && label[i] != '-' {
				return false
			}
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
