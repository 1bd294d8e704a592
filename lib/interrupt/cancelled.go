package interrupt

import (
	"context"
	"fmt"
)

// Cancelled returns an error if ctx has ended: a signal stopped the command.
func Cancelled(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("stopped by a signal: %w", ctx.Err())
	}
	return nil
}
