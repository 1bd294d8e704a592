package linux

import (
	"path/filepath"
	"strings"
)

var quoteMeta = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// Glob returns the paths below a directory that match a pattern of [filepath.Glob]. The directory's own path is no pattern.
func Glob(dir, pattern string) ([]string, error) {
	return filepath.Glob(filepath.Join(quoteMeta.Replace(dir), pattern))
}
