package network

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/weikeit/mydocker/lib/state"
)

// TableHeader names the columns of the list of networks.
func TableHeader() []string {
	return []string{"NAME", "IPNETS", "GATEWAY", "COUNTS", "DRIVER", "CREATED"}
}

// Row returns the network's row in the list. Times are local.
func (n Network) Row() []string {
	return []string{n.Name, join(n.IPNets), join(n.Gateways), strconv.Itoa(n.Counts), n.Driver, n.created()}
}

// View is a network as inspect shows it.
type View struct {
	IPNet      string // more than one, separated by ", "
	Gateway    string
	Name       string
	Counts     int
	Driver     string
	CreateTime string // local, as in the list
}

// View returns the network as inspect shows it.
func (n Network) View() View {
	return View{
		IPNet: join(n.IPNets), Gateway: join(n.Gateways), Name: n.Name,
		Counts: n.Counts, Driver: n.Driver, CreateTime: n.created(),
	}
}

// ContainerView is how a container, or a namespace without one, is connected: as in its net.json.
type ContainerView struct {
	ID string `json:"id"`
	state.Net
}

// InspectContainer returns how container id is connected. The error wraps [state.ErrNotFound] where it
// is not.
func (m *Manager) InspectContainer(id string) (ContainerView, error) {
	n, err := m.dir.ReadNet(id)
	if err == nil && n.Mode == "" {
		err = fmt.Errorf("network of container %s: %w", id, state.ErrNotFound)
	}
	return ContainerView{id, n}, err
}

func (n Network) created() string { return n.Created.Local().Format(time.DateTime) }

func join[T netip.Addr | netip.Prefix](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}
