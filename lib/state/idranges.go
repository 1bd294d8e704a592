package state

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
)

// The range of user ids on the host that containers with a user namespace get their ids from. It is above those of
// users, subuid(5) and systemd-nspawn, and below ids that some programs read as negative.
const (
	firstRange  = 0x70000000
	IDRangeSize = 1 << 16 // ids per container
	rangeCount  = 0x0fff
)

// IDRanges is the directory of the claims on id ranges.
func (d Dir) IDRanges() string { return filepath.Join(d.Root, "users") }

// ClaimIDRange gives container id a range of user and group ids, and returns the first id. It takes over a claim whose
// container is gone.
func (d Dir) ClaimIDRange(id string) (uint32, error) {
	unlock, err := d.LockObject("users")
	if err != nil {
		return 0, err
	}
	defer unlock()
	for n := range rangeCount {
		first := uint32(firstRange + n*IDRangeSize)
		path := filepath.Join(d.IDRanges(), strconv.FormatUint(uint64(first), 10))
		err := ClaimFromDead(path, id, d.gone)
		if err == nil {
			return first, nil
		}
		if taken := (*TakenError)(nil); !errors.As(err, &taken) {
			return 0, err
		}
	}
	return 0, fmt.Errorf("claim a range of user ids: all %d are taken", rangeCount)
}

// ReleaseIDRange releases the range of container id. It is idempotent.
func (d Dir) ReleaseIDRange(id string) error { return ReleaseAll(d.IDRanges(), id) }
