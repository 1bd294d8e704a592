package state

import "github.com/weikeit/mydocker/lib/spec"

// EnsureID returns the id of the document, which is given one where another program started the
// pipe. An id of another form is refused: it becomes a path.
func EnsureID(s *spec.Spec) (string, error) {
	if s.ID() == "" {
		s.Annotate(spec.AnnotationID, NewID())
	}
	return s.ID(), CheckID(s.ID())
}
