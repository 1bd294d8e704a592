package cli

import (
	"encoding/json"
	"os/exec"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/weikeit/mydocker/lib/spec"
)

// values returns the candidates for an option's value or an argument, by its name, which means the same in all tools.
func values(v *kong.Value, last string) []candidate {
	if v.Enum != "" {
		return words(strings.ReplaceAll(v.Enum, ",", " "))
	}
	switch v.Name {
	case "container", "containers", "id", "ids":
		return containers(last)
	case "network", "networks":
		return networks(v, last)
	case "image", "images":
		if strings.HasPrefix(last, "/") || strings.HasPrefix(last, ".") {
			return []candidate{{filesLine, ""}} // a directory or an archive (lib/rootfs)
		}
		return images()
	case "source", "target": // of cp
		return places(last)
	case "objects":
		return append(append(containers(last), networks(v, last)...), images()...)
	case "file", "files", "spec", "env-file", "volume", "netns":
		return []candidate{{filesLine, ""}}
	case "bundle", "workdir":
		return []candidate{{dirsLine, ""}}
	case "command":
		return []candidate{{commandsLine, ""}}
	case "storage-driver":
		return words("overlay2 aufs vfs")
	case "format":
		return words("table json")
	case "print":
		return words("spec")
	case "signal", "stop-signal":
		return words("SIGTERM SIGKILL SIGINT SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGSTOP SIGCONT SIGWINCH")
	}
	return nil
}

func words(list string) []candidate {
	var all []candidate
	for word := range strings.FieldsSeq(list) {
		all = append(all, candidate{word: word})
	}
	return all
}

// places returns the containers with a colon, for a path in one, or files of the host.
func places(last string) []candidate {
	if strings.HasPrefix(last, "/") || strings.HasPrefix(last, ".") {
		return []candidate{{filesLine, ""}}
	}
	all := containers(last)
	for i := range all {
		all[i].word += ":"
	}
	return all
}

// containers returns the names of the containers that begin with last, or all ids if there is none.
func containers(last string) []candidate {
	var names, ids []candidate
	for _, row := range ask[struct{ ID, Name, Image, Status string }]("md-ps", "--format", "json") {
		if row.Name != "" && strings.HasPrefix(row.Name, last) {
			names = append(names, candidate{row.Name, row.Image + " " + row.Status})
		}
		ids = append(ids, candidate{row.ID, row.Name + " " + row.Status})
	}
	if len(names) > 0 {
		return names
	}
	return ids
}

// networks returns the networks and, for an option, the other modes (lib/network).
func networks(v *kong.Value, last string) []candidate {
	type network struct {
		Name   string
		IPNets []string
	}
	var all []candidate
	for _, row := range ask[network]("mydocker", "networks", "--format", "json") {
		all = append(all, candidate{row.Name, strings.Join(row.IPNets, " ")})
	}
	if v.Flag == nil {
		return all
	}
	if owner, ok := strings.CutPrefix(last, "container:"); ok {
		return prefixed("container:", containers(owner))
	}
	return append(all, words("none host container: ns:")...)
}

// images returns the names of the images.
func images() []candidate {
	var all []candidate
	for _, row := range ask[struct{ ID, Repo, Tag string }]("mydocker", "images", "--format", "json") {
		if row.Repo != "<none>" && row.Tag != "<none>" {
			all = append(all, candidate{row.Repo + ":" + row.Tag, row.ID})
		} else {
			all = append(all, candidate{row.ID, row.Repo})
		}
	}
	return all
}

// ask returns the JSON objects that a tool prints, and none if the tool is missing or fails.
func ask[T any](tool string, args ...string) []T {
	path, err := spec.Sibling(tool)
	if err != nil {
		return nil
	}
	cmd := exec.Command(path, args...)
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return nil
	}
	var rows []T
	for dec := json.NewDecoder(out); ; {
		var row T
		if dec.Decode(&row) != nil {
			break
		}
		rows = append(rows, row)
	}
	_ = cmd.Wait() // only the output matters
	return rows
}
