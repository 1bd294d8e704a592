package linux

import (
	"fmt"
	"os"
)

// wrap adds what was tried to an error.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func errnoOf(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}

// shorten shortens a command for an error: the options for an image with many layers fill pages.
func shorten(argv []string) string {
	short := make([]string, len(argv))
	for i, word := range argv {
		if short[i] = word; len(word) > 256 {
			short[i] = word[:256] + "…"
		}
	}
	return Quote(short...)
}
