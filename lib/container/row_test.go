package container

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// readmeContainer returns the container in the README's list, as read from its files.
func readmeContainer() *state.Container {
	s := spec.New("4f2322145e66")
	s.Annotate(spec.AnnotationName, "mysql-test")
	s.Annotate(spec.AnnotationImage, "mysql:5.7.25")
	s.Annotate(spec.AnnotationDriver, "overlay2")
	s.Annotate("team", "blue")
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/var/lib/mysql", Source: "/root/mysql"})
	s.Process.Args = []string{"docker-entrypoint.sh", "mysqld"}
	return &state.Container{
		ID: "4f2322145e66", Spec: s, Running: true, Run: state.Run{Init: state.Process{PID: 30942}},
		Created: time.Date(2019, 1, 25, 9, 46, 4, 0, time.Local),
		Net: state.Net{
			Endpoints: []state.Endpoint{
				{Network: "mydocker0", Address: netip.MustParsePrefix("10.20.30.2/24")}, {Address: netip.MustParsePrefix("10.10.1.2/24")},
			},
			Ports: []state.Port{{HostPort: 8036, ContainerPort: 3306, Protocol: "tcp"}},
		},
	}
}

// TestCellsAreTheREADMEs compares the table with the README's, column by column.
func TestCellsAreTheREADMEs(t *testing.T) {
	header := "CONTAINER ID|NAME|IMAGE|STATUS|DRIVER|PID|COMMAND|IPS|PORTS|CREATED"
	row := "4f2322145e66|mysql-test|mysql:5.7.25|running|overlay2|30942|[docker-entrypoint.sh mysqld]|10.20.30.2, 10.10.1.2|8036->3306|2019-01-25 09:46:04"
	if got := strings.Join(Header(), "|"); got != header {
		t.Errorf("got %s, want %s", got, header)
	}
	if got := strings.Join(newRow(readmeContainer(), false).Cells(), "|"); got != row {
		t.Errorf("got %s, want %s", got, row)
	}
}

func TestFormatTime(t *testing.T) {
	if got := FormatTime(time.Time{}); got != "-" {
		t.Errorf("no time: %s", got)
	}
	if got := FormatTime(time.Date(2019, 1, 25, 9, 46, 4, 999, time.Local)); got != "2019-01-25 09:46:04" {
		t.Errorf("got %s", got)
	}
}

// TestPublished: a range of ports is one word. Ports that differ in address or protocol are no range.
func TestPublished(t *testing.T) {
	local := netip.MustParseAddr("127.0.0.1")
	ports := []state.Port{
		{HostPort: 9000, ContainerPort: 80, Protocol: "udp"}, {HostPort: 9001, ContainerPort: 81, Protocol: "udp"},
		{HostPort: 9002, ContainerPort: 82, Protocol: "tcp"},
		{HostIP: local, HostPort: 9003, ContainerPort: 83, Protocol: "tcp"}, {HostIP: local, HostPort: 9004, ContainerPort: 85, Protocol: "tcp"},
	}
	want := "9000-9001->80-81/udp, 9002->82, 127.0.0.1:9003->83, 127.0.0.1:9004->85"
	if got := strings.Join(published(ports), ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRows(t *testing.T) {
	c := readmeContainer()
	c.Running, c.Spawn.Started, c.Spawn.Finished, c.Spawn.ExitCode = false, time.Now(), time.Now(), 137
	row := newRow(c, false)
	if row.PID != 0 || row.Cells()[5] != "-" || row.Status != "exited" || row.ExitCode == nil || *row.ExitCode != 137 {
		t.Errorf("an ended container: %+v", row)
	}
	if row.Labels["team"] != "blue" || len(row.Labels) != 1 {
		t.Errorf("labels %v", row.Labels)
	}
	row = newRow(&state.Container{ID: "0123456789ab", Spec: &spec.Spec{}}, false)
	if row.ExitCode != nil || row.Status != "created" || row.Cells()[9] != "-" {
		t.Errorf("an empty document: %+v", row)
	}
	data, err := json.Marshal(row)
	if err != nil || !bytes.Contains(data, []byte(`"ips":[],"ports":[]`)) {
		t.Errorf("empty lists: %s, %v", data, err)
	}
}

func TestPortText(t *testing.T) {
	ip := netip.MustParseAddr
	for want, p := range map[string]state.Port{
		"8036->3306":           {HostPort: 8036, ContainerPort: 3306, Protocol: "tcp"},
		"53->53/udp":           {HostPort: 53, ContainerPort: 53, Protocol: "udp"},
		"127.0.0.1:80->80":     {HostIP: ip("127.0.0.1"), HostPort: 80, ContainerPort: 80, Protocol: "tcp"},
		"[::1]:80->81/sctp":    {HostIP: ip("::1"), HostPort: 80, ContainerPort: 81, Protocol: "sctp"},
		"1->65535":             {HostIP: ip("0.0.0.0"), HostPort: 1, ContainerPort: 65535, Protocol: "tcp"},
		"2->2":                 {HostIP: ip("::"), HostPort: 2, ContainerPort: 2, Protocol: "tcp"},
		"[fe80::1%eth0]:3->3":  {HostIP: ip("fe80::1%eth0"), HostPort: 3, ContainerPort: 3, Protocol: "tcp"},
		"192.168.31.153:9->10": {HostIP: ip("192.168.31.153"), HostPort: 9, ContainerPort: 10, Protocol: "tcp"},
	} {
		if got := portText(p, 1); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	view := portsView([]state.Port{
		{HostPort: 8036, ContainerPort: 3306, Protocol: "tcp"}, {HostPort: 8036, ContainerPort: 53, Protocol: "udp"},
	})
	if len(view) != 2 || view["8036"] != "3306" || view["8036/udp"] != "53/udp" {
		t.Errorf("inspect: %v", view)
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1 kB", 354900000: "354.9 MB", 1500000000: "1.5 GB", 1 << 50: "1.126 PB"} {
		if got := Size(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}

func TestFilters(t *testing.T) {
	row := newRow(readmeContainer(), false)
	tests := []struct {
		filters string
		want    bool
	}{
		{"", true},
		{"name=mysql", true}, {"name=sql-t", true}, {"name=web", false}, {"name=", true},
		{"id=4f23", true}, {"id=f232", false}, {"image=mysql:5.7.25", true}, {"image=mysql", false},
		{"status=running", true}, {"status=exited", false},
		{"label=team", true}, {"label=team=blue", true}, {"label=team=red", false}, {"label=crew", false}, {"label=team=", false},
		{"status=exited status=running", true}, {"name=web name=mysql", true}, // alternatives
		{"name=mysql status=exited", false}, {"name=mysql status=running", true}, // both must match
		{"ancestor=mysql:5.7.25", true}, {"network=mydocker0", true}, {"network=mydocker", false},
		{"volume=/var/lib/mysql", true}, {"volume=/root/mysql", true}, {"volume=mysql", false}, {"exited=0", false},
	}
	c := readmeContainer()
	for _, tt := range tests {
		keep, err := parseFilters(strings.Fields(tt.filters), "/var/lib/mydocker/volumes")
		if err != nil {
			t.Fatal(err)
		}
		if got := keep(row, c); got != tt.want {
			t.Errorf("%q: %v", tt.filters, got)
		}
	}
	row.Image = "busybox:latest"
	if keep, err := parseFilters([]string{"image=busybox"}, "/var/lib/mydocker/volumes"); err != nil || !keep(row, c) {
		t.Errorf("an image without its tag latest: %v", err)
	}
	code := 3
	row.ExitCode = &code
	if keep, err := parseFilters([]string{"exited=3"}, "/var/lib/mydocker/volumes"); err != nil || !keep(row, c) {
		t.Errorf("an exit code: %v", err)
	}
	c.Spec.Mounts = append(c.Spec.Mounts, specs.Mount{Destination: "/data", Source: "/var/lib/mydocker/volumes/named/data"})
	if keep, err := parseFilters([]string{"volume=named"}, "/var/lib/mydocker/volumes"); err != nil || !keep(row, c) {
		t.Errorf("the name of a volume: %v", err)
	}
	c.Spec.Mounts[len(c.Spec.Mounts)-1].Source = "/home/named/data"
	if keep, err := parseFilters([]string{"volume=named"}, "/var/lib/mydocker/volumes"); err != nil || keep(row, c) {
		t.Errorf("a directory that is called like a volume: %v", err)
	}
	for _, filter := range []string{"", "name", "exited=x", "status=dead", "colour=red", "=x", "NAME=x", strings.Repeat("x", 1000)} {
		if _, err := parseFilters([]string{filter}, "/var/lib/mydocker/volumes"); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v", filter, err)
		}
	}
}

// TestList lists containers with each option.
func TestList(t *testing.T) {
	top := t.TempDir()
	dir := state.Dir{Root: filepath.Join(top, "lib"), Run: filepath.Join(top, "run")}
	for i, id := range []string{"0000000000aa", "0000000000bb", "0000000000cc"} {
		s := spec.New(id)
		s.Annotate(spec.AnnotationName, "box"+id[10:])
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		life := state.Spawn{Created: time.Date(2019, 1, 25, i, 0, 0, 0, time.Local)}
		if err := errors.Join(state.WriteFile(dir.Config(id), data, 0o600), state.WriteJSON(dir.Bundle(id)+"/spawn.json", life)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir.Config("0000000000bb"), []byte("{"), 0o600); err != nil { // a torn document
		t.Fatal(err)
	}
	tests := []struct {
		o    ListOptions
		want string
	}{
		{ListOptions{}, "boxcc boxaa"},
		{ListOptions{Filter: []string{"name=aa"}}, "boxaa"},
		{ListOptions{Filter: []string{"name=zz"}}, ""},
		{ListOptions{Latest: true}, "boxcc"},
		{ListOptions{Last: new(int)}, ""},
	}
	for _, tt := range tests {
		var bad []error
		rows, err := List(dir, tt.o, func(err error) { bad = append(bad, err) })
		if err != nil {
			t.Error(err)
		}
		var names []string
		for _, r := range rows {
			names = append(names, r.Name)
			if r.Status != "created" || r.Created.Year() != 2019 {
				t.Errorf("%+v", r)
			}
		}
		if got := strings.Join(names, " "); got != tt.want || len(bad) != 1 || !strings.Contains(bad[0].Error(), "0000000000bb") {
			t.Errorf("%+v: %q, %v", tt.o, got, bad)
		}
	}
	wrong := ListOptions{Filter: []string{"x"}}
	if _, err := List(dir, wrong, func(error) {}); err == nil || wrong.Check() == nil {
		t.Error("a wrong filter is accepted")
	}
}

func TestStopSignal(t *testing.T) {
	c := readmeContainer()
	for _, tt := range []struct {
		option, document string
		want             syscall.Signal
	}{{"", "", 15}, {"", "SIGQUIT", 3}, {"INT", "SIGQUIT", 2}, {"9", "", 9}} {
		c.Spec.Annotate(spec.AnnotationStop, tt.document)
		if got, err := stopSignal(c, tt.option); got != tt.want || err != nil {
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
	}
	if _, err := stopSignal(c, "NOTHING"); err == nil {
		t.Error("an unknown signal is accepted")
	}
}
