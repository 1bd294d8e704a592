package image

import (
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestChoosePlatform(t *testing.T) {
	entry := func(os, arch, variant string) v1.Descriptor {
		return v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: arch, Variant: variant}}
	}
	list := []v1.Descriptor{entry("unknown", "unknown", ""), entry("linux", "arm", "v5"), entry("linux", "arm", "v7"), entry("linux", "amd64", "v3"),
		entry("linux", "amd64", ""), entry("linux", "arm64", "v8"), entry("windows", "amd64", "")}
	for want, index := range map[string]int{"linux/amd64": 4, "linux/amd64/v3": 3, "linux/x86_64": 4, "linux/arm64": 5, "linux/aarch64": 5,
		"linux/arm": 2, "linux/arm/v5": 1, "windows/amd64": 6, "linux/arm/v6": -1, "linux/s390x": -1} {
		p, err := parsePlatform(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := choose(list, p)
		switch {
		case index < 0 && err == nil:
			t.Errorf("%s: got %v", want, got.Platform)
		case index >= 0 && (err != nil || got.Platform != list[index].Platform):
			t.Errorf("%s: got %v, %v", want, got.Platform, err)
		}
	}
	for _, bad := range []string{"/", "linux/", "a/b/c/d", "linux/\x1b"} {
		if _, err := parsePlatform(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
