package container

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Row is a container as ps shows it; its JSON is for programs.
type Row struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Image    string            `json:"image"`
	Status   string            `json:"status"`
	ExitCode *int              `json:"exitCode,omitempty"` // of the program, if it has ended
	Driver   string            `json:"driver"`
	PID      int               `json:"pid"` // 0 if no program runs
	Command  []string          `json:"command"`
	IPs      []string          `json:"ips"`
	Ports    []string          `json:"ports"`
	Created  time.Time         `json:"created"`
	Labels   map[string]string `json:"labels"`

	published []string // Ports, with a range as one word: a container may have thousands
}

// newRow returns what ps shows of a container.
func newRow(c *state.Container, paused bool) Row {
	r := Row{
		ID: c.ID, Name: c.Spec.Name(), Image: c.Spec.Annotation(spec.AnnotationImage), Status: c.Status(),
		Driver: c.Spec.Annotation(spec.AnnotationDriver), Command: c.Spec.ProcessPart().Args,
		IPs: []string{}, Ports: []string{}, Created: c.Created, Labels: c.Spec.Labels(),
	}
	if paused {
		r.Status = state.StatusPaused
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

// published returns a word for each port or range of ports.
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

// portText returns "8036->3306", or "8036-8037->3306-3307" for n ports in a row. The address of the host is left out if
// it is unspecified, the protocol if it is tcp.
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

// Names is docker's name of Name in templates.
func (r Row) Names() string { return r.Name }

// State is docker's name of Status in templates.
func (r Row) State() string { return r.Status }

// Header names the columns of [Row.Cells].
func Header() []string {
	return []string{"CONTAINER ID", "NAME", "IMAGE", "STATUS", "DRIVER", "PID", "COMMAND", "IPS", "PORTS", "CREATED"}
}

// Key returns the id, which --quiet prints.
func (r Row) Key() string { return r.ID }

// Cells returns the row of the README's table.
func (r Row) Cells() []string {
	pid := "-"
	if r.PID != 0 {
		pid = strconv.Itoa(r.PID)
	}
	return []string{
		r.ID, r.Name, r.Image, r.Status, r.Driver, pid, fmt.Sprint(r.Command),
		strings.Join(r.IPs, ", "), strings.Join(r.published, ", "), FormatTime(r.Created),
	}
}

// FormatTime formats a time as the README does, in the local zone; "-" for none.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// Size formats bytes as the README does: 354.9 MB, base 1000.
func Size(bytes int64) string {
	return units.CustomSize("%.4g %s", float64(bytes), 1000, []string{"B", "kB", "MB", "GB", "TB", "PB"})
}
