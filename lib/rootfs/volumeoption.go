package rootfs

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// volumeOption is a -v option, or a VOLUME of the image.
type volumeOption struct {
	word        string // as given
	name        string // of a named or anonymous volume; addImageVolumes sets that of an anonymous one
	anonymous   bool
	source      string // of a bind: absolute, on the host
	destination string // clean, absolute, not /
	readOnly    bool
	propagation string // shared, rshared …; "" is rprivate
	noCopy      bool
}

func (v volumeOption) String() string { return v.word }

// parseVolume parses the value of -v:
//
//	[SOURCE:]DESTINATION[:OPTION,…]
//
// A source that starts with / . or ~ is a bind, any other source is the name of a volume, and without one the volume is
// anonymous. Options are ro, rw, nocopy (volumes only), and [r]shared, [r]slave, [r]private (binds only).
func parseVolume(word, home string) (volumeOption, error) {
	v := volumeOption{word: word}
	parts := strings.Split(word, ":")
	if slices.Contains(parts, "") || len(parts) > 3 {
		return v, errors.New("want [SOURCE:]DESTINATION[:OPTIONS]")
	}
	destination := parts[0]
	if len(parts) > 1 {
		if err := v.setSource(parts[0], home); err != nil {
			return v, err
		}
		destination = parts[1]
	} else {
		v.anonymous = true
	}
	var err error
	if v.destination, err = checkDestination(destination); err != nil {
		return v, err
	}
	if len(parts) == 3 {
		return v, v.setOptions(strings.Split(parts[2], ","))
	}
	return v, nil
}

func (v *volumeOption) setSource(source, home string) error {
	switch {
	case strings.ContainsRune(source, 0):
		return errors.New("source has a NUL byte")
	case source == "~" || strings.HasPrefix(source, "~/"):
		if !filepath.IsAbs(home) {
			return errors.New("expand ~: HOME is not set")
		}
		source = home + source[1:]
	case source[0] == '~':
		return fmt.Errorf("source %.200q: ~USER is not supported", source)
	case source[0] != '/' && source[0] != '.':
		v.name = source
		return state.CheckName("volume", source)
	}
	absolute, err := filepath.Abs(source)
	v.source = absolute
	return err
}

func (v *volumeOption) setOptions(options []string) error {
	access := ""
	for _, option := range options {
		switch option {
		case "ro", "rw":
			if access != "" && access != option {
				return errors.New("ro and rw exclude each other")
			}
			access = option
			v.readOnly = option == "ro"
		case "shared", "rshared", "slave", "rslave", "private", "rprivate":
			if v.source == "" {
				return fmt.Errorf("option %s: not valid for volumes, only for binds", option)
			}
			if v.propagation != "" {
				return fmt.Errorf("options %s and %s exclude each other", v.propagation, option)
			}
			v.propagation = option
		case "nocopy":
			if v.source != "" {
				return errors.New("option nocopy: not valid for binds, only for volumes")
			}
			v.noCopy = true
		case "z", "Z":
			if linux.HasSELinux() {
				return fmt.Errorf("option %s: SELinux labels are not supported: label the directory by chcon -Rt container_file_t", option)
			}
		case "cached", "delegated", "consistent": // of docker's virtual machines on other systems, where they trade speed for order
		default:
			return fmt.Errorf("option %.80q: want ro, rw, nocopy, z, Z, [r]shared, [r]slave or [r]private", option)
		}
	}
	return nil
}

// addImageVolumes adds an anonymous volume for each VOLUME of the image whose destination no option uses, and names all
// anonymous volumes.
func (p *plan) addImageVolumes(declared map[string]struct{}) error {
	words := make([]string, 0, len(declared))
	for word := range declared {
		words = append(words, word)
	}
	sort.Strings(words)
	for _, word := range words {
		destination, err := checkDestination(path.Clean("/" + word))
		if err != nil {
			return fmt.Errorf("image VOLUME %.200q: %w", word, err)
		}
		if !p.taken[destination] {
			p.taken[destination] = true
			p.volumes = append(p.volumes, volumeOption{word: destination, anonymous: true, destination: destination})
		}
	}
	for i := range p.volumes {
		if v := &p.volumes[i]; v.anonymous {
			v.name = state.NewID() + state.NewID()
		}
	}
	return nil
}

// mount returns the bind mount of the volume from source.
func (v volumeOption) mount(source string) specs.Mount {
	options := []string{"rbind"}
	if v.readOnly {
		options = append(options, "ro")
		if linux.HasMountSetattr() {
			options = append(options, "rro") // recursive: mounts inside the source too
		}
	}
	propagation := v.propagation
	if propagation == "" {
		propagation = "rprivate"
	}
	return specs.Mount{Destination: v.destination, Type: "bind", Source: source, Options: append(options, propagation)}
}
