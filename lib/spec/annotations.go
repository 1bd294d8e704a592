package spec

import (
	"fmt"
	"strings"
)

// Prefix starts our annotations. Labels of users and images must not have it.
const Prefix = "mydocker."

// Annotations for what the OCI document has no field for.
const (
	AnnotationID      = Prefix + "id"      // 12 hexadecimal digits
	AnnotationName    = Prefix + "name"    // unique
	AnnotationImage   = Prefix + "image"   // as given by the user: mysql:5.7.25
	AnnotationImageID = Prefix + "imageid" // digest of the image configuration: sha256:…
	AnnotationDriver  = Prefix + "driver"  // storage driver: overlay2, aufs, vfs
	AnnotationDNS     = Prefix + "dns"     // name servers, separated by commas
	AnnotationNets    = Prefix + "networks"
	AnnotationPorts   = Prefix + "ports"   // published ports: 8036->3306/tcp, separated by commas
	AnnotationExposed = Prefix + "exposed" // ports that the image exposes: 80/tcp, separated by commas
	AnnotationStop    = Prefix + "stopsignal"
	AnnotationInit    = Prefix + "init"    // "true": PID 1 is our init
	AnnotationDevices = Prefix + "devices" // devices beyond the default ones: "c 10:229 rwm", separated by commas; "a": all

	AnnotationRestart = Prefix + "restart" // restart policy: on-failure:3, always, unless-stopped
	AnnotationLogOpts = Prefix + "logopts" // limits of the log: max-size=10m,max-file=3

	AnnotationGroups = Prefix + "groups" // --group-add: names and numbers, separated by commas

	AnnotationInteractive = Prefix + "interactive" // "true": standard input stays open
)

// Annotation returns the value of an annotation, "" if it is missing.
func (s *Spec) Annotation(key string) string { return s.Annotations[key] }

// Annotate sets an annotation; an empty value removes it.
func (s *Spec) Annotate(key, value string) {
	if value == "" {
		delete(s.Annotations, key)
		return
	}
	if s.Annotations == nil {
		s.Annotations = make(map[string]string)
	}
	s.Annotations[key] = value
}

// ID returns the container's id, "" if no stage has set one yet.
func (s *Spec) ID() string { return s.Annotation(AnnotationID) }

// Name returns the container's name, its id if it has none.
func (s *Spec) Name() string {
	if name := s.Annotation(AnnotationName); name != "" {
		return name
	}
	return s.ID()
}

// Labels returns the annotations without our prefix.
func (s *Spec) Labels() map[string]string {
	labels := make(map[string]string)
	for key, value := range s.Annotations {
		if !strings.HasPrefix(key, Prefix) {
			labels[key] = value
		}
	}
	return labels
}

// ParseLabels parses KEY=VALUE words; a key alone has the value "". The result for no words is nil.
func ParseLabels(words []string) (map[string]string, error) {
	if len(words) == 0 {
		return nil, nil
	}
	labels := make(map[string]string, len(words))
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		if err := checkLabel(key); err != nil {
			return nil, err
		}
		labels[key] = value
	}
	return labels, nil
}

// checkLabel returns an error if key is not valid for a user's label.
func checkLabel(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("label: empty key: want KEY=VALUE")
	case strings.HasPrefix(key, Prefix):
		return fmt.Errorf("label %.80q: prefix %q is reserved", key, Prefix)
	}
	return nil
}
