package image

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Decompress returns the uncompressed data of r. It recognizes gzip, zstd, bzip2 and xz by the first bytes; other data is
// not changed. For xz it runs xz(1), as docker does. The caller closes the result.
func Decompress(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(r, chunkSize)
	magic, err := in.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte("BZh")):
		return io.NopCloser(bzip2.NewReader(in)), nil
	case bytes.Equal(magic, []byte("\xfd7zXZ\x00")): // xz-file-format, 2.1.1.1
		return decompressXZ(ctx, in)
	}
	plain, closer, err := decompress(in)
	if err != nil {
		return nil, err
	}
	reader, ok := plain.(fill)
	if !ok {
		return nil, errors.New("decompress: no stream")
	}
	return &plainReader{reader.Reader, func() error { closer(); return nil }}, nil
}

type plainReader struct {
	io.Reader
	close func() error
}

func (r *plainReader) Close() error { return r.close() }

// decompressXZ starts xz(1).
func decompressXZ(ctx context.Context, in io.Reader) (io.ReadCloser, error) {
	if _, err := exec.LookPath("xz"); err != nil {
		return nil, errors.New("decompress xz: xz is not installed")
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "xz", "-dc")
	var messages bytes.Buffer
	cmd.Stdin, cmd.Stderr = in, &messages
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &plainReader{&untilExit{out, cmd, &messages}, func() error {
		cancel()
		_ = cmd.Wait() // untilExit has returned the error
		return nil
	}}, nil
}

// untilExit reads the output of a program. At its end it returns an error if the program failed.
type untilExit struct {
	io.Reader
	cmd      *exec.Cmd
	messages *bytes.Buffer
}

func (r *untilExit) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.EOF) && r.cmd.ProcessState == nil {
		if failed := r.cmd.Wait(); failed != nil {
			err = fmt.Errorf("decompress xz: %s", strings.TrimPrefix(strings.TrimSpace(r.messages.String()), "xz: "))
		}
	}
	return n, err
}
