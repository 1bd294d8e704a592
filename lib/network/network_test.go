package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/state"
)

// newManager returns the manager of an empty state directory.
func newManager(t *testing.T) *Manager {
	t.Helper()
	base := t.TempDir()
	dir := state.Dir{Root: filepath.Join(base, "root"), Run: filepath.Join(base, "run")}
	if err := os.Mkdir(dir.Root, 0o700); err != nil {
		t.Fatal(err)
	}
	return New(dir)
}

// newContainer makes the directory of a container, and returns its id.
func (m *Manager) newContainer(t *testing.T) string {
	t.Helper()
	id := state.NewID()
	if err := os.MkdirAll(m.dir.Bundle(id), 0o700); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestDefaultIsListedFromTheStart(t *testing.T) {
	m := newManager(t)
	list, err := m.List()
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	row := strings.Join(list[0].Row()[:5], " ")
	if row != "mydocker0 10.20.30.0/24 10.20.30.1 0 bridge" {
		t.Error(row)
	}
	again, err := m.Inspect(Default)
	if err != nil || !again.Created.Equal(list[0].Created) {
		t.Errorf("created %v, then %v (%v)", list[0].Created, again.Created, err)
	}
	if entries, _ := os.ReadDir(m.dir.Root); len(entries) != 0 {
		t.Error("listing made", entries)
	}
	if _, err := os.Stat(m.dir.Run); !errors.Is(err, os.ErrNotExist) {
		t.Error("listing made", m.dir.Run)
	}
}

func TestCreate(t *testing.T) {
	m, ctx := newManager(t), context.Background()
	if err := m.Create(ctx, "subnet1", CreateOptions{Subnet: []string{"10.210.1.0/24"}}); err != nil {
		t.Fatal(err)
	}
	if err := m.Create(ctx, "a-name-that-no-link-can-have", CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	n, err := m.Inspect("a-name-that-no-link-can-have")
	if err != nil || len(n.Link) != link.MaxName || !strings.HasPrefix(n.Link, "md-") {
		t.Errorf("link %q (%v), want 15 characters that start with md-", n.Link, err)
	}
	for _, c := range []struct{ name, subnet, want string }{
		{"subnet1", "10.211.0.0/24", "network subnet1 exists already"},
		{"other", "10.210.0.0/16", "network other: subnet 10.210.0.0/16 overlaps 10.210.1.0/24: network subnet1"},
		{"other", "10.20.30.128/25", "network other: subnet 10.20.30.128/25 overlaps 10.20.30.0/24: network mydocker0"},
		{"none", "10.211.0.0/24", "network name none is reserved"},
		{"host", "10.211.0.0/24", "network name host is reserved"},
		{"../evil", "10.211.0.0/24", `network name "../evil"`},
		{"", "10.211.0.0/24", `network name ""`},
		{"other", "", `network other: subnet ""`},
	} {
		err := m.Create(ctx, c.name, CreateOptions{Subnet: []string{c.subnet}})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s %s: %v; want %s", c.name, c.subnet, err, c.want)
		}
	}
	// The default network can be created once.
	if err := m.Create(ctx, Default, CreateOptions{Subnet: []string{"10.211.0.0/24"}}); err != nil {
		t.Error(err)
	}
	if err := m.Create(ctx, Default, CreateOptions{}); err == nil || err.Error() != "network mydocker0 exists already" {
		t.Error(err)
	}
	list, err := m.List()
	if err != nil || len(list) != 3 || list[0].Name != Default || list[1].Name != "subnet1" {
		t.Error(list, err)
	}
}

func TestTornNetworkHidesNoOther(t *testing.T) {
	m := newManager(t)
	if err := m.Create(context.Background(), "good", CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"torn": `{"name":`, "empty": `{}`} {
		if err := state.WriteFile(filepath.Join(m.path(name), "network.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := m.List()
	if len(list) != 2 || list[1].Name != "good" {
		t.Error(list)
	}
	if err == nil || !strings.Contains(err.Error(), "torn") || !strings.Contains(err.Error(), "empty") {
		t.Error(err)
	}
}

// Creating a network again removes the temporary file of a killed creation.
func TestStoreAfterAKill(t *testing.T) {
	m := newManager(t)
	torn := filepath.Join(m.path("blue"), state.TempPrefix+"123")
	if err := state.WriteFileVolatile(torn, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.store(Network{Name: "blue"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(torn); !os.IsNotExist(err) {
		t.Errorf("%s: %v", torn, err)
	}
}

// A removal that was killed at its last step can be repeated.
func TestRemoveAfterAKill(t *testing.T) {
	m := newManager(t)
	if err := os.MkdirAll(m.path("blue"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := m.removeUnused(context.Background(), "blue"); err != nil {
		t.Error(err)
	}
	if err := m.removeUnused(context.Background(), "blue"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("the second time: %v", err)
	}
}

func TestLeases(t *testing.T) {
	m := newManager(t)
	subnet := netip.MustParsePrefix("10.210.1.0/29") // five containers
	n := Network{Name: "small", IPNets: []netip.Prefix{subnet}, Gateways: []netip.Addr{subnet.Addr().Next()}, Link: "small"}
	if err := m.store(n); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range 5 {
		id := m.newContainer(t)
		got, err := m.lease(n, state.IPv4, netip.Addr{}, id)
		if want := fmt.Sprintf("10.210.1.%d/29", i+2); err != nil || got.String() != want {
			t.Fatalf("got %v (%v), want %s", got, err, want)
		}
		ids = append(ids, id)
	}
	late := m.newContainer(t)
	if got, err := m.lease(n, state.IPv4, netip.Addr{}, late); err == nil || err.Error() != "network small: no free address in 10.210.1.0/29" {
		t.Errorf("the sixth got %v (%v)", got, err)
	}
	if n, err := m.Inspect("small"); err != nil || n.Counts != 5 {
		t.Errorf("counts %d (%v), want 5", n.Counts, err)
	}

	if err := os.RemoveAll(m.dir.Bundle(ids[3])); err != nil {
		t.Fatal(err)
	}
	if n, _ := m.Inspect("small"); n.Counts != 4 {
		t.Errorf("counts %d, want 4, because a container is gone", n.Counts)
	}
	if got, err := m.lease(n, state.IPv4, netip.Addr{}, late); err != nil || got.String() != "10.210.1.5/29" {
		t.Errorf("got %v (%v), want the address of the container that is gone", got, err)
	}

	last := []state.Endpoint{{Network: "small", Address: netip.MustParsePrefix("10.210.1.5/29")}}
	if err := m.renew(last, late); err != nil {
		t.Error("its own:", err)
	}
	want := "network small: address 10.210.1.5: taken by container " + late
	if err := m.renew(last, ids[0]); err == nil || err.Error() != want {
		t.Errorf("another's: %v, want %s", err, want)
	}
	if err := m.free("small", netip.MustParseAddr("10.210.1.5"), ids[0]); err != nil {
		t.Error(err)
	}
	if got := m.holder("small", netip.MustParseAddr("10.210.1.5")); got != late {
		t.Errorf("another container freed the address of %s", late)
	}
}

func TestLeasesAtOnce(t *testing.T) {
	m := newManager(t)
	subnet := netip.MustParsePrefix("10.210.1.0/26")
	n := Network{Name: "busy", IPNets: []netip.Prefix{subnet}, Gateways: []netip.Addr{subnet.Addr().Next()}, Link: "busy"}
	var wg sync.WaitGroup
	got := make([]netip.Prefix, 50)
	for i := range got {
		id := m.newContainer(t)
		wg.Go(func() {
			var err error
			if got[i], err = m.lease(n, state.IPv4, netip.Addr{}, id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := make(map[netip.Prefix]bool)
	for _, p := range got {
		if seen[p] {
			t.Errorf("%s was leased twice", p)
		}
		seen[p] = true
	}
}

// The options for the first network say the same as its value.
func TestFirstNetwork(t *testing.T) {
	mac := "02:00:00:00:00:01"
	got, err := Connection{Network: []string{"a1", "b1"}, IP: []string{"10.1.2.3", "fd00::3"}, Alias: []string{"db", "sql"}, MAC: mac}.parse()
	want, wantErr := Connection{Network: []string{"a1,ip=10.1.2.3,ip=fd00::3,alias=db,alias=sql,mac=" + mac, "b1"}}.parse()
	if err != nil || wantErr != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v, %v", got, err, want, wantErr)
	}
	for _, c := range []struct {
		o   Connection
		err string
	}{
		{Connection{Network: []string{"host"}, IP: []string{"10.1.2.3"}}, "network host: a container with it has no address"},
		{Connection{Network: []string{"none"}, Alias: []string{"db"}}, "network none: "},
		{Connection{Network: []string{"container:web"}, MAC: mac}, "network container:web: "},
		{Connection{Network: []string{"a1,ip=10.1.2.3"}, IP: []string{"10.1.2.4"}}, "network a1: address 10.1.2.4: 10.1.2.3 is given already"},
		{Connection{Network: []string{"a1,mac=" + mac}, MAC: mac}, "network a1: mac " + mac + ": "},
		{Connection{MAC: "ff:ff:ff:ff:ff:ff"}, "network mydocker0: mac "},
		{Connection{IP: []string{"ten"}}, `network mydocker0: address "ten"`},
		{Connection{Alias: []string{""}}, `network mydocker0: alias ""`},
	} {
		if err := c.o.Check(); err == nil || !strings.HasPrefix(err.Error(), c.err) {
			t.Errorf("%+v: %v, want %s", c.o, err, c.err)
		}
	}
}

func TestParseNetworks(t *testing.T) {
	for _, c := range []struct {
		in   string
		mode string
		err  string
	}{
		{"", "bridge", ""},
		{"a1 b1", "bridge", ""},
		{"none", "none", ""},
		{"host", "host", ""},
		{"container:web", "container:web", ""},
		{"ns:/proc/1/ns/net", "ns:/proc/1/ns/net", ""},
		{"none a1", "", "network none: cannot be combined with other networks"},
		{"a1 host", "", "network host: cannot be combined with other networks"},
		{"a1 a1", "", "network a1: named twice"},
		{"a1 ../x", "", `network name "../x"`},
		{"a1,ip=10.1.2.3,ip=fd00::3,alias=db,alias=sql.example,mac=02:00:00:00:00:01 b1", "bridge", ""},
		{"name=a1,ip=10.1.2.3,ip6=fd00::3,alias=db,mac-address=02:00:00:00:00:01", "bridge", ""},
		{"name=a1 a1", "", "network a1: named twice"},
		{"name=", "", `network name ""`},
		{"a1,ip=10.1.2.3,ip=10.1.2.4", "", "network a1: address 10.1.2.4: 10.1.2.3 is given already"},
		{"a1,ip=ten", "", `network a1: address "ten": want an IPv4 or IPv6 address, such as 10.10.1.5`},
		{"a1,alias=", "", `network a1: alias "": want letters`},
		{"a1,mac=ff:ff:ff:ff:ff:ff", "", `network a1: mac "ff:ff:ff:ff:ff:ff": want the hardware address of one host`},
		{"a1,mtu=9", "", `network a1: "mtu=9": want ip=ADDRESS, alias=NAME or mac=ADDRESS`},
		{"a1,", "", `network a1: "": want ip=`},
	} {
		mode, joins, err := parseNetworks(strings.Fields(c.in))
		switch {
		case c.err == "" && (err != nil || mode != c.mode):
			t.Errorf("%q: %s, %v", c.in, mode, err)
		case c.err != "" && (err == nil || !strings.HasPrefix(err.Error(), c.err)):
			t.Errorf("%q: %v; want %s", c.in, err, c.err)
		case c.in == "" && (len(joins) != 1 || joins[0].network != Default):
			t.Errorf("no --network: %v", joins)
		}
	}
}
