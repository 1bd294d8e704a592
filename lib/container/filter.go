package container

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/state"
)

// filterKeys are the keys of filters; ancestor is docker's word for image.
var filterKeys = []string{"name", "id", "image", "ancestor", "status", "exited", "network", "volume", "label"}

// parseFilters returns a function that reports whether the filters choose a container. Filters with one key are
// alternatives; those with different keys must all match. volumes is the directory of the named volumes.
func parseFilters(words []string, volumes string) (func(Row, *state.Container) bool, error) {
	wanted := make(map[string][]string)
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok || !slices.Contains(filterKeys, key) {
			return nil, fmt.Errorf("--filter %.60q: want KEY=VALUE, where KEY is name, id, image, status, exited, network, volume or label", word)
		}
		switch key {
		case "status":
			if !slices.Contains(state.Statuses(), value) {
				return nil, fmt.Errorf("--filter %.60q: a status is one of %s", word, strings.Join(state.Statuses(), ", "))
			}
		case "exited":
			if _, err := strconv.Atoi(value); err != nil {
				return nil, fmt.Errorf("--filter %.60q: an exit code is a number", word)
			}
		}
		wanted[key] = append(wanted[key], value)
	}
	return func(r Row, c *state.Container) bool {
		for key, values := range wanted {
			if !slices.ContainsFunc(values, func(value string) bool { return r.matches(key, value, c, volumes) }) {
				return false
			}
		}
		return true
	}, nil
}

func (r Row) matches(key, value string, c *state.Container, volumes string) bool {
	switch key {
	case "name":
		return strings.Contains(r.Name, value)
	case "id":
		return strings.HasPrefix(r.ID, value)
	case "image", "ancestor":
		return r.Image == value || strings.TrimSuffix(r.Image, ":latest") == value
	case "status":
		return r.Status == value
	case "exited":
		return r.ExitCode != nil && strconv.Itoa(*r.ExitCode) == value
	case "network":
		return slices.ContainsFunc(c.Net.Endpoints, func(e state.Endpoint) bool { return e.Network == value })
	case "volume":
		return slices.ContainsFunc(c.Spec.Mounts, func(m specs.Mount) bool {
			return m.Destination == value || m.Source == value || m.Source == filepath.Join(volumes, value, "data")
		})
	}
	name, want, valued := strings.Cut(value, "=")
	have, ok := r.Labels[name]
	return ok && (!valued || have == want)
}
