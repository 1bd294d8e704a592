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

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// readmeContainer is the one that the README lists, as the files have it.
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

// TestTableIsTheREADMEs, column by column.
func TestTableIsTheREADMEs(t *testing.T) {
	var out bytes.Buffer
	if err := cli.Table(&out, Header(), [][]string{NewRow(readmeContainer()).Cells()}); err != nil {
		t.Fatal(err)
	}
	want := "CONTAINER ID   NAME         IMAGE          STATUS    DRIVER     PID     COMMAND                         IPS                     PORTS        CREATED\n" +
		"4f2322145e66   mysql-test   mysql:5.7.25   running   overlay2   30942   [docker-entrypoint.sh mysqld]   10.20.30.2, 10.10.1.2   8036->3306   2019-01-25 09:46:04\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// TestPublished: a range is one word, and what only follows by chance is none.
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
	row := NewRow(c)
	if row.PID != 0 || row.Cells()[5] != "-" || row.Status != "exited" || row.ExitCode == nil || *row.ExitCode != 137 {
		t.Errorf("one that ended: %+v", row)
	}
	if row.Labels["team"] != "blue" || len(row.Labels) != 1 {
		t.Errorf("labels %v", row.Labels)
	}
	row = NewRow(&state.Container{ID: "0123456789ab", Spec: &spec.Spec{}})
	if row.ExitCode != nil || row.Status != "created" || row.Cells()[9] != "-" {
		t.Errorf("of an empty document: %+v", row)
	}
	data, err := json.Marshal(row)
	if err != nil || !bytes.Contains(data, []byte(`"ips":[],"ports":[]`)) {
		t.Errorf("lists are lists: %s, %v", data, err)
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
	row := NewRow(readmeContainer())
	tests := []struct {
		filters string
		want    bool
	}{
		{"", true},
		{"name=mysql", true}, {"name=sql-t", true}, {"name=web", false}, {"name=", true},
		{"id=4f23", true}, {"id=f232", false}, {"image=mysql:5.7.25", true}, {"image=mysql", false},
		{"status=running", true}, {"status=exited", false},
		{"label=team", true}, {"label=team=blue", true}, {"label=team=red", false}, {"label=crew", false}, {"label=team=", false},
		{"status=exited status=running", true}, {"name=web name=mysql", true}, // one of them
		{"name=mysql status=exited", false}, {"name=mysql status=running", true}, // both
		{"ancestor=mysql:5.7.25", true}, {"network=mydocker0", true}, {"network=mydocker", false},
		{"volume=/var/lib/mysql", true}, {"volume=/root/mysql", true}, {"volume=mysql", false}, {"exited=0", false},
	}
	c := readmeContainer()
	for _, tt := range tests {
		keep, err := parseFilters(strings.Fields(tt.filters))
		if err != nil {
			t.Fatal(err)
		}
		if got := keep(row, c); got != tt.want {
			t.Errorf("%q: %v", tt.filters, got)
		}
	}
	row.Image = "busybox:latest"
	if keep, err := parseFilters([]string{"image=busybox"}); err != nil || !keep(row, c) {
		t.Errorf("latest may be left out: %v", err)
	}
	code := 3
	row.ExitCode = &code
	if keep, err := parseFilters([]string{"exited=3"}); err != nil || !keep(row, c) {
		t.Errorf("by the exit code: %v", err)
	}
	c.Spec.Mounts = append(c.Spec.Mounts, specs.Mount{Destination: "/data", Source: "/var/lib/mydocker/volumes/named/data"})
	if keep, err := parseFilters([]string{"volume=named"}); err != nil || !keep(row, c) {
		t.Errorf("by the name of a volume: %v", err)
	}
	for _, filter := range []string{"", "name", "exited=x", "status=dead", "colour=red", "=x", "NAME=x", strings.Repeat("x", 1000)} {
		if _, err := parseFilters([]string{filter}); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v", filter, err)
		}
	}
}

// TestList writes containers as the tools do and prints them in each form.
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
	if err := os.WriteFile(dir.Config("0000000000bb"), []byte("{"), 0o600); err != nil { // torn
		t.Fatal(err)
	}
	tests := []struct {
		o    ListOptions
		want string
	}{
		{ListOptions{Quiet: true}, "0000000000cc\n0000000000aa\n"},
		{ListOptions{Format: "{{.Name}} {{.PID}}"}, "boxcc 0\nboxaa 0\n"},
		{ListOptions{Quiet: true, Filter: []string{"name=aa"}}, "0000000000aa\n"},
		{ListOptions{Quiet: true, Filter: []string{"name=zz"}}, ""},
		{ListOptions{Quiet: true, Latest: true}, "0000000000cc\n"},
		{ListOptions{Quiet: true, Last: new(int)}, ""},
		{ListOptions{Format: "json", Filter: []string{"name=zz"}}, ""},
		{ListOptions{Filter: []string{"name=zz"}}, strings.Join(Header(), "   ") + "\n"},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		var bad []error
		if err := List(dir, tt.o, &out, func(err error) { bad = append(bad, err) }); err != nil {
			t.Error(err)
		}
		if out.String() != tt.want || len(bad) != 1 || !strings.Contains(bad[0].Error(), "0000000000bb") {
			t.Errorf("%+v: %q, %v", tt.o, out.String(), bad)
		}
	}
	var out bytes.Buffer
	if err := List(dir, ListOptions{Format: "json"}, &out, func(error) {}); err != nil {
		t.Error(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		var row Row
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.Status != "created" || row.Created.Year() != 2019 {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, o := range []ListOptions{{}, {Quiet: true}, {Format: "json"}, {Format: "{{.ID}}"}} {
		if err := List(dir, o, full{}, func(error) {}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%+v on a full disk: %v", o, err)
		}
	}
	for _, o := range []ListOptions{{Filter: []string{"x"}}, {Format: "x"}} {
		if err := List(dir, o, &out, func(error) {}); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

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
		t.Error("no such signal is accepted")
	}
}
