package hostport

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

func port(ip string, host, container uint16, protocol string) state.Port {
	p := state.Port{HostPort: host, ContainerPort: container, Protocol: protocol}
	if ip != "" {
		p.HostIP = netip.MustParseAddr(ip)
	}
	return p
}

func TestParse(t *testing.T) {
	for in, want := range map[string][]state.Port{
		"80":                       {port("", 0, 80, "tcp")},
		"8036:3306":                {port("", 8036, 3306, "tcp")},
		"53:53/udp":                {port("", 53, 53, "udp")},
		"80/sctp":                  {port("", 0, 80, "sctp")},
		"127.0.0.1:80:81":          {port("127.0.0.1", 80, 81, "tcp")},
		"127.0.0.1::81":            {port("127.0.0.1", 0, 81, "tcp")},
		"0.0.0.0:80:80":            {port("0.0.0.0", 80, 80, "tcp")},
		"[::1]:8080:80":            {port("::1", 8080, 80, "tcp")},
		"[::]::80/udp":             {port("::", 0, 80, "udp")},
		"[::ffff:1.2.3.4]:8080:80": {port("1.2.3.4", 8080, 80, "tcp")},
		"8000-8001:80-81":          {port("", 8000, 80, "tcp"), port("", 8001, 81, "tcp")},
		"80-81":                    {port("", 0, 80, "tcp"), port("", 0, 81, "tcp")},
		"65535:65535":              {port("", 65535, 65535, "tcp")},
		"65534-65535:1-2":          {port("", 65534, 1, "tcp"), port("", 65535, 2, "tcp")},
		"1.2.3.4:7-7:9/tcp":        {port("1.2.3.4", 7, 9, "tcp")},
	} {
		got, err := Parse(in)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", ":", "80:", ":80:", "a:80", "80:a", "0:80x", "70000:80", "80:70000", "80:0", "0:80", "-1:80", "1.2.3:80:80",
		"1-3:80-81", "3-1:80-82", "80:80/icmp", "80:80/", "80:80/TCP", "80:80:80:80", "80 :80", "80:80/tcp/udp", "+80", "8_0",
		"::1:8080:80", "[::1:8080:80", "::1]:8080:80", "[127.0.0.1]:80:80", "[fe80::1%eth0]:80:80", "80-:80", "-80", "1-2-3",
		"localhost:80:80", "99999999999999999999:80",
	} {
		got, err := Parse(in)
		if err == nil {
			t.Errorf("Parse(%q) = %v; want an error", in, got)
			continue
		}
		if !strings.HasPrefix(err.Error(), "publish ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Parse(%q): %v", in, err)
		}
	}
}

// A port that Parse accepts survives formatting and parsing again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"80", "8036:3306/udp", "[::1]:1-3:4-6", "0.0.0.0::1", "-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		ports, err := Parse(in)
		if err != nil {
			return
		}
		for _, p := range ports {
			if p.HostPort == 0 {
				continue
			}
			text := strings.Replace(p.String(), "->", ":", 1)
			again, err := Parse(text)
			if err != nil || len(again) != 1 || again[0] != p {
				t.Errorf("%q gave %v, which is %q, which gave %v, %v", in, p, text, again, err)
			}
		}
		if joined := Ranges(ports); ports[0].HostPort != 0 && len(joined) != 1 {
			t.Errorf("%q gave %d ranges, want 1", in, len(joined))
		}
	})
}

func TestRanges(t *testing.T) {
	ports := []state.Port{
		port("", 8001, 81, "tcp"), port("", 8000, 80, "tcp"), port("", 8002, 90, "tcp"),
		port("", 8001, 81, "udp"), port("127.0.0.1", 8003, 91, "tcp"),
	}
	want := []Range{
		{First: 8000, Last: 8001, Container: 80, Protocol: "tcp"},
		{First: 8002, Last: 8002, Container: 90, Protocol: "tcp"},
		{HostIP: netip.MustParseAddr("127.0.0.1"), First: 8003, Last: 8003, Container: 91, Protocol: "tcp"},
		{First: 8001, Last: 8001, Container: 81, Protocol: "udp"},
	}
	if got := Ranges(ports); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOverlaps(t *testing.T) {
	r := func(ip, protocol string, first, last uint16) Range {
		out := Range{First: first, Last: last, Protocol: protocol}
		if ip != "" {
			out.HostIP = netip.MustParseAddr(ip)
		}
		return out
	}
	for _, c := range []struct {
		a, b Range
		want bool
	}{
		{r("", "tcp", 80, 80), r("", "tcp", 80, 80), true},
		{r("", "tcp", 80, 80), r("", "udp", 80, 80), false},
		{r("", "tcp", 80, 90), r("", "tcp", 90, 99), true},
		{r("", "tcp", 80, 89), r("", "tcp", 90, 99), false},
		{r("127.0.0.1", "tcp", 80, 80), r("", "tcp", 80, 80), true},
		{r("127.0.0.1", "tcp", 80, 80), r("127.0.0.2", "tcp", 80, 80), false},
		{r("127.0.0.1", "tcp", 80, 80), r("0.0.0.0", "tcp", 80, 80), true},
		{r("::", "tcp", 80, 80), r("127.0.0.1", "tcp", 80, 80), false},
		{r("::", "tcp", 80, 80), r("", "tcp", 80, 80), true},
	} {
		if c.a.overlaps(c.b) != c.want || c.b.overlaps(c.a) != c.want {
			t.Errorf("%v and %v: want %v both ways", c.a, c.b, c.want)
		}
	}
}
