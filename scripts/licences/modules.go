package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is one that is linked: ours, the standard library, or another's.
type module struct {
	path    string
	version string // "" of ours: the programs'
	sum     string // SHA-256 of its files as go.sum has it ("h1"), in hex; "" of ours and the standard library
	dir     string
	dirs    []string // of its packages that are linked

	licences []licence
}

// licence is a text that lies in a module.
type licence struct {
	file string // below the module
	id   string // of the SPDX list; "" of a notice, which goes with one
	text string
}

// std is the name of the standard library, as govulncheck and others have it in their bills.
const std = "stdlib"

// listed is what of go list's JSON is needed.
type listed struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// linked returns the modules that the packages link for an architecture, sorted: ours first.
func linked(arch string, packages []string) ([]module, error) {
	list, err := goCommand(arch, append([]string{"list", "-deps", "-json=Dir,Standard,Module"}, packages...)...)
	if err != nil {
		return nil, err
	}
	env, err := goCommand(arch, "env", "GOROOT", "GOVERSION")
	if err != nil {
		return nil, err
	}
	root, version, _ := strings.Cut(strings.TrimSpace(string(env)), "\n")
	sums, err := readSums("go.sum")
	if err != nil {
		return nil, err
	}
	byPath := map[string]*module{std: {path: std, version: strings.TrimPrefix(version, "go"), dir: root, dirs: []string{root}}}
	for decoder := json.NewDecoder(bytes.NewReader(list)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read what go list prints: %w", err)
		}
		if p.Standard {
			continue
		}
		m := byPath[p.Module.Path]
		if m == nil {
			m = &module{path: p.Module.Path, version: p.Module.Version, dir: p.Module.Dir}
			if m.sum = sums[m.path+" "+m.version]; m.sum == "" && !p.Module.Main {
				return nil, fmt.Errorf("module %s %s is not in go.sum", m.path, m.version)
			}
			byPath[m.path] = m
		}
		m.dirs = append(m.dirs, p.Dir)
	}
	var ours, others []module
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		if m := byPath[path]; m.version == "" {
			ours = append(ours, *m)
		} else {
			others = append(others, *m)
		}
	}
	return append(ours, others...), nil
}

func goCommand(arch string, args ...string) ([]byte, error) {
	program := os.Getenv("GO")
	if program == "" {
		program = "go"
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	return out, nil
}

// readSums returns the checksums of go.sum in hex, by "path version".
func readSums(file string) (map[string]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sums := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || strings.HasSuffix(fields[1], "/go.mod") {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(fields[2], "h1:"))
		if err != nil {
			return nil, fmt.Errorf("%s: checksum of %s: %w", file, fields[0], err)
		}
		sums[fields[0]+" "+fields[1]] = hex.EncodeToString(sum)
	}
	return sums, nil
}

// licenceName matches files with a licence, or with what has to go with one.
var licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)(\.(md|txt|libyaml))?$`)

// readLicences reads the licences in the directories from the module's own down to its linked packages.
func (m *module) readLicences() error {
	dirs := map[string]bool{m.dir: true}
	for _, dir := range m.dirs {
		for ; len(dir) > len(m.dir); dir = filepath.Dir(dir) {
			dirs[dir] = true
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.IsDir() || !licenceName.MatchString(entry.Name()) {
				continue
			}
			if err := m.readLicence(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	if m.ids() == "" {
		return fmt.Errorf("no licence lies in %s", m.dir)
	}
	return nil
}

func (m *module) readLicence(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := filepath.Rel(m.dir, path)
	if err != nil {
		return err
	}
	l := licence{file: file, text: strings.ReplaceAll(string(data), "\r\n", "\n")}
	name := strings.ToLower(filepath.Base(file))
	if !strings.HasPrefix(name, "notice") && !strings.HasPrefix(name, "patents") {
		if l.id = identify(l.text); l.id == "" {
			return fmt.Errorf("%s is a licence that is not known here", path)
		}
	}
	m.licences = append(m.licences, l)
	return nil
}

// identify returns the licence's name in the SPDX list, by words that only this one has; "" where it is another.
func identify(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(words string) bool { return strings.Contains(text, words) }
	var ids []string
	if has("Apache License Version 2.0") || has("Licensed under the Apache License, Version 2.0") {
		ids = append(ids, "Apache-2.0")
	}
	if has("Redistribution and use in source and binary forms") {
		if has("Neither the name") || has("may not be used to endorse") || has("names of its contributors may") {
			ids = append(ids, "BSD-3-Clause")
		} else {
			ids = append(ids, "BSD-2-Clause")
		}
	}
	if has("Permission is hereby granted, free of charge") {
		ids = append(ids, "MIT")
	}
	return strings.Join(ids, " AND ")
}

// ids is the SPDX expression of all licences of the module.
func (m *module) ids() string {
	all := make(map[string]bool)
	for _, l := range m.licences {
		for id := range strings.SplitSeq(l.id, " AND ") {
			if id != "" {
				all[id] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(all)), " AND ")
}
