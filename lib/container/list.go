package container

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// ListOptions are the options of md-ps and `mydocker ps`.
type ListOptions struct {
	Quiet   bool     `short:"q" help:"Only print the ids"`
	All     bool     `short:"a" hidden:"" help:"All containers: as always"`
	NoTrunc bool     `hidden:"" help:"Nothing cut off: as always"`
	Last    *int     `short:"n" help:"Only the last so many that were created"`
	Latest  bool     `short:"l" help:"Only the last that was created"`
	Format  string   `help:"table, json (one object per line), or a Go template such as '{{.Name}} {{.PID}}' (default: table)"`
	Filter  []string `short:"f" sep:"none" help:"Only those with name, id, image, status, exited (a code), network, volume or label, e.g. --filter status=running"`
}

// Row is one container as ps shows it; its JSON is for programs.
type Row struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Image    string            `json:"image"`
	Status   string            `json:"status"`
	ExitCode *int              `json:"exitCode,omitempty"` // of those that have ended
	Driver   string            `json:"driver"`
	PID      int               `json:"pid"` // 0: it does not run
	Command  []string          `json:"command"`
	IPs      []string          `json:"ips"`
	Ports    []string          `json:"ports"`
	Created  time.Time         `json:"created"`
	Labels   map[string]string `json:"labels"`

	published []string // Ports with ranges in one word: one may have thousands
}

// NewRow returns what ps shows of a container.
func NewRow(c *state.Container) Row {
	r := Row{
		ID: c.ID, Name: c.Spec.Name(), Image: c.Spec.Annotation(spec.AnnotationImage), Status: c.Status(),
		Driver: c.Spec.Annotation(spec.AnnotationDriver), Command: c.Spec.ProcessPart().Args,
		IPs: []string{}, Ports: []string{}, Created: c.Created, Labels: c.Spec.Labels(),
	}
	if c.Running {
		r.PID = c.Run.Init.Number()
	} else if !c.Spawn.Finished.IsZero() || c.Unseen() {
		r.ExitCode = &c.Spawn.ExitCode
	}
	for _, e := range c.Net.Endpoints {
		r.IPs = append(r.IPs, e.Address.Addr().String())
		if e.Address6.IsValid() {
			r.IPs = append(r.IPs, e.Address6.Addr().String())
		}
	}
	for _, p := range c.Net.Ports {
		r.Ports = append(r.Ports, portText(p, 1))
	}
	r.published = published(c.Net.Ports)
	return r
}

// published returns a word for each port, or for a range of them.
func published(ports []state.Port) []string {
	var words []string
	for i := 0; i < len(ports); {
		n := 1
		for next := ports[i]; i+n < len(ports); n++ {
			next.HostPort++
			next.ContainerPort++
			if ports[i+n] != next {
				break
			}
		}
		words = append(words, portText(ports[i], n))
		i += n
	}
	return words
}

// portText returns "8036->3306", and for n ports in a row "8036-8037->3306-3307", with the host's address and the
// protocol where they are not the usual.
func portText(p state.Port, n int) string {
	span := func(first uint16) string {
		if n == 1 {
			return strconv.Itoa(int(first))
		}
		return fmt.Sprintf("%d-%d", first, int(first)+n-1)
	}
	text := span(p.HostPort) + "->" + span(p.ContainerPort)
	if p.HostIP.IsValid() && !p.HostIP.IsUnspecified() {
		host := p.HostIP.String()
		if p.HostIP.Is6() {
			host = "[" + host + "]"
		}
		text = host + ":" + text
	}
	if p.Protocol != "tcp" {
		text += "/" + p.Protocol
	}
	return text
}

// Header names the columns of [Row.Cells].
func Header() []string {
	return []string{"CONTAINER ID", "NAME", "IMAGE", "STATUS", "DRIVER", "PID", "COMMAND", "IPS", "PORTS", "CREATED"}
}

// Cells are the row of the README's table.
func (r Row) Cells() []string {
	pid := "-"
	if r.PID != 0 {
		pid = strconv.Itoa(r.PID)
	}
	return []string{
		r.ID, r.Name, r.Image, r.Status, r.Driver, pid, fmt.Sprint(r.Command),
		strings.Join(r.IPs, ", "), strings.Join(r.published, ", "), cli.Local(r.Created),
	}
}

// List prints the containers. One that cannot be read is reported to bad, and the others are shown.
func List(dir state.Dir, o ListOptions, out io.Writer, bad func(error)) error {
	keep, err := parseFilters(o.Filter)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	show, err := parseFormat(o)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	containers, err := dir.ListAll(bad)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(o.Filter, func(f string) bool { return strings.HasPrefix(f, "volume=") }) {
		for _, c := range containers { // which a list has only glanced at
			if whole, err := dir.Load(c.ID); err == nil {
				c.Spec.Mounts = whole.Spec.Mounts
			}
		}
	}
	last := len(containers)
	switch {
	case o.Latest:
		last = 1
	case o.Last != nil:
		last = *o.Last
	}
	host, hostErr := cgroup.ThisHost() // without cgroups nothing is paused
	all := make([]Row, len(containers))
	state.Parallel(len(all), func(i int) {
		c := containers[i]
		if all[i] = NewRow(c); c.Running && hostErr == nil && host.Frozen(c.Spec.LinuxPart().CgroupsPath) {
			all[i].Status = state.StatusPaused
		}
	})
	rows := []Row{}
	for i, c := range containers { // the newest first
		r := all[i]
		if keep(r, c) && len(rows) < last {
			rows = append(rows, r)
		}
	}
	return show(out, rows)
}

// parseFormat returns what prints the rows.
func parseFormat(o ListOptions) (func(io.Writer, []Row) error, error) {
	switch {
	case o.Quiet:
		return func(w io.Writer, rows []Row) error {
			for _, r := range rows {
				if _, err := fmt.Fprintln(w, r.ID); err != nil {
					return err
				}
			}
			return nil
		}, nil
	case o.Format == "json":
		return cli.JSONLines[Row], nil
	case o.Format == "" || o.Format == "table":
		return func(w io.Writer, rows []Row) error {
			cells := make([][]string, len(rows))
			for i, r := range rows {
				cells[i] = r.Cells()
			}
			return cli.Table(w, Header(), cells)
		}, nil
	case !strings.Contains(o.Format, "{{"):
		return nil, fmt.Errorf("--format %.60q: want table, json or a Go template", o.Format)
	}
	t, err := template.New("").Parse(o.Format)
	if err != nil {
		return nil, cli.TemplateError(err, Row{})
	}
	// A field that no row has is found here, be there rows or not. Other errors may be of this row alone.
	if err := t.Execute(io.Discard, Row{}); err != nil && cli.UnknownField(err) {
		return nil, cli.TemplateError(err, Row{})
	}
	return func(w io.Writer, rows []Row) error {
		for _, r := range rows {
			var line strings.Builder
			if err := t.Execute(&line, r); err != nil {
				return cli.TemplateError(err, Row{})
			}
			if _, err := fmt.Fprintln(cli.Screen(w), line.String()); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// filterKeys are what containers can be chosen by; ancestor is docker's word for image.
var filterKeys = []string{"name", "id", "image", "ancestor", "status", "exited", "network", "volume", "label"}

// parseFilters returns what chooses rows: filters with one key are alternatives, those with different
// keys must all hold.
func parseFilters(words []string) (func(Row, *state.Container) bool, error) {
	wanted := make(map[string][]string)
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok || !slices.Contains(filterKeys, key) {
			return nil, fmt.Errorf("--filter %.60q: want name, id, image, status, exited, network, volume or label, = and a value", word)
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
			if !slices.ContainsFunc(values, func(value string) bool { return r.matches(key, value, c) }) {
				return false
			}
		}
		return true
	}, nil
}

func (r Row) matches(key, value string, c *state.Container) bool {
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
			return m.Destination == value || m.Source == value || strings.HasSuffix(m.Source, "/"+value+"/data")
		})
	}
	name, want, valued := strings.Cut(value, "=")
	have, ok := r.Labels[name]
	return ok && (!valued || have == want)
}
