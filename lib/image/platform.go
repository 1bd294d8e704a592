package image

import (
	"fmt"
	"runtime"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// parsePlatform parses OS/ARCH[/VARIANT], OS or ARCH. Missing parts are those of the host.
func parsePlatform(s string) (v1.Platform, error) {
	host := v1.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}
	if s == "" {
		return host, nil
	}
	parts := strings.Split(strings.ToLower(s), "/")
	for _, part := range parts {
		if !isTag(part) || len(parts) > 3 {
			return host, fmt.Errorf("platform %.100q: want OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64", s)
		}
	}
	switch {
	case len(parts) == 3:
		host.Variant = parts[2]
		fallthrough
	case len(parts) == 2:
		host.OS, host.Architecture = parts[0], architecture(parts[1])
	case parts[0] == "linux" || parts[0] == "windows":
		host.OS = parts[0]
	default:
		host.Architecture = architecture(parts[0])
	}
	return host, nil
}

// architecture converts names of uname(1) and others to those of Go, which images use (image-spec, config.md).
func architecture(name string) string {
	switch name {
	case "x86_64", "x86-64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "i386", "i686":
		return "386"
	case "armhf":
		return "arm"
	}
	return name
}

// fits reports whether an image for platform have matches want. The variants must be equal if want has one or with
// exact; a platform without a variant has the default of its architecture.
func fits(want, have v1.Platform, exact bool) bool {
	if want.OS != have.OS || want.Architecture != architecture(have.Architecture) {
		return false
	}
	if want.Variant != "" {
		return variant(want) == variant(have)
	}
	return !exact || variant(have) == variant(want)
}

// variant returns the variant, or the default of the architecture.
func variant(p v1.Platform) string {
	switch {
	case p.Variant != "":
		return p.Variant
	case p.Architecture == "arm64":
		return "v8"
	case p.Architecture == "arm":
		return "v7"
	case p.Architecture == "amd64":
		return "v1"
	}
	return ""
}

func platformString(p v1.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}
