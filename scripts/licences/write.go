package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// writeCopyright writes the licences as Debian's machine-readable copyright has them (DEP-5): a paragraph per module,
// whose texts stand in it whole.
func writeCopyright(w *strings.Builder, modules []module) {
	fmt.Fprint(w, "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"+
		"Upstream-Name: mydocker\nSource: https://github.com/weikeit/mydocker\n"+
		"Comment: The programs are linked statically. Each paragraph is of one Go module in them.\n")
	for _, m := range modules {
		files := m.path + "@" + m.version
		if m.version == "" {
			files = "*"
		}
		fmt.Fprintf(w, "\nFiles: %s\nCopyright: %s\nLicense: %s\n", files, strings.Join(m.holders(), "\n "), strings.ReplaceAll(m.ids(), " AND ", " and "))
		for _, l := range m.licences {
			fmt.Fprintf(w, " [%s of %s]\n", l.file, m.path)
			for line := range strings.Lines(strings.TrimSpace(l.text)) {
				if line = strings.TrimRight(line, " \t\n"); line == "" {
					line = "."
				}
				fmt.Fprintf(w, " %s\n", line)
			}
			fmt.Fprint(w, " .\n")
		}
	}
}

// copyrightLine matches where a text says whose it is, but not where a licence speaks of such lines.
var copyrightLine = regexp.MustCompile(`(?i)^\W*copyright\W+(\(c\)|©)?\W*[12][0-9]{3}.*`)

// holders returns the lines with a year that say whose the module is.
func (m *module) holders() []string {
	var lines []string
	seen := make(map[string]bool)
	for _, l := range m.licences {
		for line := range strings.Lines(l.text) {
			line = strings.TrimSpace(line)
			if copyrightLine.MatchString(line) && !seen[line] {
				seen[line] = true
				lines = append(lines, line)
			}
		}
	}
	if lines == nil {
		return []string{"the authors of " + m.path}
	}
	return lines
}

// The bill, as far as we have something to say (SPDX 2.3, https://spdx.github.io/spdx-spec/v2.3).
type (
	document struct {
		Version       string         `json:"spdxVersion"`
		DataLicense   string         `json:"dataLicense"`
		ID            string         `json:"SPDXID"`
		Name          string         `json:"name"`
		Namespace     string         `json:"documentNamespace"`
		Creation      creation       `json:"creationInfo"`
		Packages      []component    `json:"packages"`
		Relationships []relationship `json:"relationships"`
	}
	creation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	component struct {
		Name             string     `json:"name"`
		ID               string     `json:"SPDXID"`
		Version          string     `json:"versionInfo"`
		DownloadLocation string     `json:"downloadLocation"`
		FilesAnalyzed    bool       `json:"filesAnalyzed"`
		Checksums        []checksum `json:"checksums,omitempty"`
		LicenseConcluded string     `json:"licenseConcluded"`
		LicenseDeclared  string     `json:"licenseDeclared"`
		Copyright        string     `json:"copyrightText"`
		ExternalRefs     []external `json:"externalRefs"`
	}
	checksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	external struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	relationship struct {
		Element string `json:"spdxElementId"`
		Related string `json:"relatedSpdxElement"`
		Type    string `json:"relationshipType"`
	}
)

// bill returns the bill of materials. The checksum of a module is that of go.sum: a SHA-256 over the list of its files'
// (golang.org/x/mod/sumdb/dirhash, Hash1).
func (o options) bill(modules []module) ([]byte, error) {
	name := "mydocker-" + o.version + "-linux-" + o.arch
	d := document{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: name,
		Namespace: "https://github.com/weikeit/mydocker/spdx/" + name + "-" + o.commit,
		Creation:  creation{Created: o.created.Format(time.RFC3339), Creators: []string{"Tool: mydocker-scripts-licences"}},
	}
	for i, m := range modules {
		if m.version == "" {
			m.version = o.version
		}
		c := m.component()
		if i == 0 {
			d.Relationships = append(d.Relationships, relationship{d.ID, c.ID, "DESCRIBES"})
		} else {
			d.Relationships = append(d.Relationships, relationship{d.Packages[0].ID, c.ID, "STATIC_LINK"})
		}
		d.Packages = append(d.Packages, c)
	}
	data, err := json.MarshalIndent(d, "", "  ")
	return append(data, '\n'), err
}

// notInID matches what an SPDX identifier cannot have.
var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

func (m *module) component() component {
	c := component{
		Name: m.path, ID: "SPDXRef-Package-" + notInID.ReplaceAllString(m.path, "-"), Version: m.version,
		DownloadLocation: "NOASSERTION", LicenseConcluded: m.ids(), LicenseDeclared: m.ids(), Copyright: strings.Join(m.holders(), "\n"),
		ExternalRefs: []external{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + m.path + "@" + strings.ReplaceAll(m.version, "+", "%2B")}},
	}
	if m.sum != "" {
		c.Checksums = []checksum{{"SHA256", m.sum}}
		c.DownloadLocation = "https://proxy.golang.org/" + escaped(m.path) + "/@v/" + escaped(m.version) + ".zip"
	}
	return c
}

// escaped writes a path as the module proxy wants it (go.dev/ref/mod#goproxy-protocol): !a for A.
func escaped(path string) string {
	var b strings.Builder
	for _, r := range path {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
