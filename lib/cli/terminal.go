package cli

import (
	"os"

	"github.com/weikeit/mydocker/lib/linux"
)

// IsTerminal reports whether a stream is a terminal. A document or an archive is neither read from one nor written to one.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && linux.IsTerminal(int(f.Fd()))
}
