package network

import (
	"context"
	"slices"

	"github.com/weikeit/mydocker/lib/state"
)

// Rename gives container id another name in its networks. It is idempotent.
func (m *Manager) Rename(ctx context.Context, id, name string) error {
	return m.change(ctx, id, func(_ context.Context, id string, n state.Net) error {
		if n.Mode == "" || n.NetNS != "" {
			return nil
		}
		if names := slices.Compact([]string{name, id}); !slices.Equal(n.Names, names) {
			n.Names, n.Unnamed = names, false
			if err := m.writeNet(id, n); err != nil {
				return err
			}
		}
		if len(n.Endpoints) > 0 && !m.isUp(id, n) {
			return nil
		}
		return m.hosts.Rename(id, n, m.gatewayOf(n))
	})
}
