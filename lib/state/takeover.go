package state

import "errors"

// ClaimFromDead is [Claim], and takes the claim over if dead reports that its holder no longer exists. The caller holds
// the lock on the claims: of two callers that see the same dead holder, the second would take over the claim of the
// first.
func ClaimFromDead(path, holder string, dead func(holder string) bool) error {
	err := Claim(path, holder)
	var taken *TakenError
	if !errors.As(err, &taken) || !dead(taken.Holder) {
		return err
	}
	if err := Release(path, taken.Holder); err != nil {
		return err
	}
	return Claim(path, holder)
}
