package state

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
)

// The ids of the host that containers get for users of their own, in ranges: above those of people, of subuid(5) and
// of systemd-nspawn, and below where programs take them for negative.
const (
	firstRange  = 0x70000000
	IDRangeSize = 1 << 16 // ids for one container
	rangeCount  = 0x0fff
)

// IDRanges is where the ranges are claimed.
func (d Dir) IDRanges() string { return filepath.Join(d.Root, "users") }

// ClaimIDRange gives container id a range of users and groups, and returns its first. A claim whose container
// is gone is taken over.
func (d Dir) ClaimIDRange(id string) (uint32, error) {
	unlock, err := d.LockObject("users")
	if err != nil {
		return 0, err
	}
	defer unlock()
	for n := range rangeCount {
		first := uint32(firstRange + n*IDRangeSize)
		path := filepath.Join(d.IDRanges(), strconv.FormatUint(uint64(first), 10))
		err := Claim(path, id)
		var taken *TakenError
		if errors.As(err, &taken) && d.gone(taken.Holder) {
			if err := Release(path, taken.Holder); err != nil {
				return 0, err
			}
			err = Claim(path, id)
		}
		if err == nil {
			return first, nil
		}
		if !errors.As(err, &taken) {
			return 0, err
		}
	}
	return 0, fmt.Errorf("all %d ranges of users are taken", rangeCount)
}

// ReleaseIDRange gives the range of container id back. It is idempotent.
func (d Dir) ReleaseIDRange(id string) error { return ReleaseAll(d.IDRanges(), id) }
