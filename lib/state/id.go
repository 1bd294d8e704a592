package state

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"

	"github.com/weikeit/mydocker/lib/spec"
)

// EnsureID returns the id of the document. A document from another program gets a new one. An id of another form is
// refused, because it becomes part of a path.
func EnsureID(s *spec.Spec) (string, error) {
	if s.ID() == "" {
		s.Annotate(spec.AnnotationID, NewID())
	}
	return s.ID(), CheckID(s.ID())
}

var (
	idForm   = regexp.MustCompile(`^[0-9a-f]{12}$`)
	nameForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)
)

// NewID returns a random container id: 12 hexadecimal digits.
func NewID() string {
	var b [6]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// IsID reports whether s has the form of a container id, and so is safe as an element of a path.
func IsID(s string) bool { return idForm.MatchString(s) }

// CheckID returns an error if s is not a container id.
func CheckID(s string) error {
	if !IsID(s) {
		return fmt.Errorf("container id %.80q: want 12 hexadecimal digits", s)
	}
	return nil
}

// CheckName returns an error if s is not a valid name of a container, network or volume; what says which.
func CheckName(what, s string) error {
	if !nameForm.MatchString(s) || len(s) > 128 {
		return fmt.Errorf("%s name %.80q: want 2 to 128 letters, digits or _ . -, starting with a letter or digit", what, s)
	}
	return nil
}
