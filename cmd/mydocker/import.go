package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/image"
	"github.com/weikeit/mydocker/lib/interrupt"
)

type imageImport struct {
	Change  []string `short:"c" sep:"none" help:"Apply a line of a Dockerfile to the image, e.g. -c 'CMD [\"sh\"]'"`
	Message string   `short:"m" help:"Comment in the history of the image"`
	Source  string   `arg:"" name:"file" help:"Archive of a root file system: a file, a URL, or - for standard input; uncompressed, or compressed by gzip, bzip2, xz or zstd"`
	Name    string   `arg:"" optional:"" help:"Name of the image, NAME[:TAG]"`
}

// Run implements cli.Runner.
func (c *imageImport) Run(ctx context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	archive, done, err := c.open(ctx, std)
	if err != nil {
		return err
	}
	interrupt.Clean()
	o := image.ImportOptions{Name: c.Name, Changes: c.Change, Message: c.Message}
	if o.Message == "" {
		o.Message = "Imported from " + c.Source
	}
	img, err := e.Images.Import(ctx, archive, o)
	if doneErr := done(); doneErr != nil { // the download failed: the archive is incomplete
		err = doneErr
	}
	if err != nil {
		return cli.About(c.Source, err)
	}
	_, err = fmt.Fprintln(std.Out, img.ConfigDigest)
	return err
}

// open opens the archive. The second result closes it, and returns an error if it is incomplete. curl(1) fetches a URL:
// no HTTP client is linked into this program.
func (c *imageImport) open(ctx context.Context, std *cli.IO) (io.Reader, func() error, error) {
	switch {
	case c.Source == "-" && cli.IsTerminal(std.In):
		return nil, nil, cli.Usagef("standard input is a terminal: want an archive")
	case c.Source == "-":
		return std.In, func() error { return nil }, nil
	case !strings.HasPrefix(c.Source, "http://") && !strings.HasPrefix(c.Source, "https://"):
		file, err := os.Open(c.Source)
		if err != nil {
			return nil, nil, err
		}
		return file, func() error { file.Close(); return nil }, nil
	}
	if _, err := exec.LookPath("curl"); err != nil {
		return nil, nil, errors.New("fetch URL: curl is not installed: download the archive, and import the file")
	}
	var messages bytes.Buffer
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "curl", "-fsSL", "--", c.Source)
	cmd.Stderr = &messages
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return out, func() error {
		_, _ = io.Copy(io.Discard, out) // the archive may end in zeros that were not read
		err := cmd.Wait()
		cancel()
		if err != nil {
			return fmt.Errorf("fetch URL: %s", strings.TrimSpace(messages.String()))
		}
		return nil
	}, nil
}
