package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mit = "Copyright (c) 2020 Example Inc.\n\nPermission is hereby granted, free of charge, to any person\n"

// moduleOf makes a module of files, with one linked package in its directory "sub/deep".
func moduleOf(t *testing.T, files map[string]string) *module {
	t.Helper()
	dir := t.TempDir()
	deep := filepath.Join(dir, "sub/deep")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &module{path: "example.com/m", version: "v1.0.0", dir: dir, dirs: []string{deep}}
}

func TestReadLicences(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		ids   string
		err   string
	}{
		{"one", map[string]string{"LICENSE": mit}, "MIT", ""},
		{"of a linked package as well", map[string]string{"COPYING": mit, "sub/LICENCE.txt": "Licensed under the Apache License,\n   Version 2.0"}, "Apache-2.0 AND MIT", ""},
		{"with a notice", map[string]string{"LICENSE.md": mit, "NOTICE": "words"}, "MIT", ""},
		{"a notice alone", map[string]string{"NOTICE": "words"}, "", "no licence lies in"},
		{"none", map[string]string{"README.md": mit, "license_test.go": mit}, "", "no licence lies in"},
		{"unknown", map[string]string{"LICENSE": mit, "sub/deep/LICENSE": "You must not."}, "", "is a licence that is not known here"},
	}
	for _, tt := range tests {
		m := moduleOf(t, tt.files)
		err := m.readLicences()
		switch {
		case tt.err == "" && (err != nil || m.ids() != tt.ids):
			t.Errorf("%s: %q, %v, want %q", tt.name, m.ids(), err, tt.ids)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		}
	}
}

func TestIdentify(t *testing.T) {
	const bsd = "Redistribution and use in source and\nbinary forms, with or without modification"
	for text, want := range map[string]string{
		mit: "MIT", bsd: "BSD-2-Clause", bsd + "\n * Neither the name of": "BSD-3-Clause",
		"                Apache License\n           Version 2.0, January 2004": "Apache-2.0", "GNU GENERAL PUBLIC LICENSE": "", "": "",
	} {
		if got := identify(text); got != want {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
}

func TestCopyright(t *testing.T) {
	m := moduleOf(t, map[string]string{"LICENSE": mit + "\ncopyright notice that appears\n"})
	if err := m.readLicences(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	writeCopyright(&text, []module{*m})
	_, got, _ := strings.Cut(text.String(), "\n\n")
	want := "Files: example.com/m@v1.0.0\nCopyright: Copyright (c) 2020 Example Inc.\nLicense: MIT\n [LICENSE of example.com/m]\n" +
		" Copyright (c) 2020 Example Inc.\n .\n Permission is hereby granted, free of charge, to any person\n .\n copyright notice that appears\n .\n"
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestComponent(t *testing.T) {
	c := (&module{path: "github.com/BurntSushi/toml", version: "v1.0.0+incompatible", sum: "00ff"}).component()
	if want := "https://proxy.golang.org/github.com/!burnt!sushi/toml/@v/v1.0.0+incompatible.zip"; c.DownloadLocation != want {
		t.Errorf("location %s, want %s", c.DownloadLocation, want)
	}
	if want := "pkg:golang/github.com/BurntSushi/toml@v1.0.0%2Bincompatible"; c.ExternalRefs[0].Locator != want {
		t.Errorf("purl %s, want %s", c.ExternalRefs[0].Locator, want)
	}
	if c.ID != "SPDXRef-Package-github.com-BurntSushi-toml" || c.Checksums[0] != (checksum{"SHA256", "00ff"}) {
		t.Errorf("component %+v", c)
	}
}
