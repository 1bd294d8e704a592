// licences writes down what the programs are made of: each Go module that they link, with its version, its checksum
// and the licences that lie in it.
//
//	licences -version V -arch ARCH [-commit C] [-time SECONDS] -copyright FILE -sbom FILE PACKAGE...
//
// FILE is Debian's machine-readable copyright (DEP-5), and a bill of materials in SPDX 2.3's JSON. A module without a
// licence, or with one that is not recognized, is an error: a person has to read it first.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.version, "version", "0.0.0", "version of the programs")
	flag.StringVar(&o.commit, "commit", "", "commit of the programs")
	flag.StringVar(&o.arch, "arch", "amd64", "GOARCH of the programs")
	seconds := flag.Int64("time", 0, "when the bill is made, in seconds since 1970")
	copyright := flag.String("copyright", "", "file for the licences")
	sbom := flag.String("sbom", "", "file for the bill of materials")
	flag.Parse()
	o.created = time.Unix(*seconds, 0).UTC()
	if err := write(o, flag.Args(), *copyright, *sbom); err != nil {
		fmt.Fprintf(os.Stderr, "licences: %v\n", err)
		os.Exit(1)
	}
}

// options say what the bill is of.
type options struct {
	version, commit, arch string
	created               time.Time
}

func write(o options, packages []string, copyright, sbom string) error {
	modules, err := linked(o.arch, packages)
	if err != nil {
		return err
	}
	for i := range modules {
		if err := modules[i].readLicences(); err != nil {
			return fmt.Errorf("module %s: %w", modules[i].path, err)
		}
	}
	var text strings.Builder
	writeCopyright(&text, modules)
	if err := os.WriteFile(copyright, []byte(text.String()), 0o644); err != nil {
		return err
	}
	bill, err := o.bill(modules)
	if err != nil {
		return err
	}
	return os.WriteFile(sbom, bill, 0o644)
}
