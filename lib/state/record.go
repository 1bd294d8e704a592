package state

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// The records of a container. Each is written by one package; all may read them.
const (
	RootfsFile = "rootfs.json" // lib/rootfs, in the bundle
	NetFile    = "net.json"    // lib/network, in the bundle: Net
	SpawnFile  = "spawn.json"  // lib/monitor, in the bundle: Spawn
	RunFile    = "state.json"  // lib/monitor, in the runtime directory: Run
	LogFile    = "log"         // lib/crilog, in the bundle: the program's output
)

// Net is how a container is connected: the content of net.json.
type Net struct {
	Mode      string     `json:"mode"` // bridge, none, host, container:ID or ns:PATH
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	Ports     []Port     `json:"ports,omitempty"`
	Names     []string   `json:"names,omitempty"`    // by which others find it: its name and its id
	Hostname  string     `json:"hostname,omitempty"` // by which it finds itself, too
	Unnamed   bool       `json:"unnamed,omitempty"`  // others do not find it: it goes before its id is known to anybody
	Joining   string     `json:"joining,omitempty"`  // a network that it is being connected to, or taken from

	// Where the namespace is not of a container of ours, and there is no document:
	NetNS   string  `json:"netns,omitempty"`  // its path
	Process Process `json:"process,omitzero"` // whose it is, where the path is that of a process
	CNI     CNI     `json:"cni,omitzero"`     // what it is called by who asked for it
}

// CNI names an attachment as the runtime does that asked for it (CNI specification, section 2
// "Parameters"): a container's network interface, of which our id is made.
type CNI struct {
	Network     string `json:"network"`     // the name of the network configuration
	ContainerID string `json:"containerID"` // CNI_CONTAINERID
	IfName      string `json:"ifname"`      // CNI_IFNAME
}

// Endpoint is one connection of a container to one network.
type Endpoint struct {
	ID       string       `json:"id"` // 12 hexadecimal digits
	Network  string       `json:"network"`
	Driver   string       `json:"driver"`
	Address  netip.Prefix `json:"address"`            // with the length of the network's prefix
	Address6 netip.Prefix `json:"address6,omitzero"`  // of IPv6, where the network has it
	Aliases  []string     `json:"aliases,omitempty"`  // more names in this network
	Internal bool         `json:"internal,omitempty"` // no way out leads by this network
	MAC      string       `json:"mac"`
	HostLink string       `json:"hostLink"` // veth- and eight digits of the id
	Link     string       `json:"link"`     // ceth- and the same digits, inside the container
}

// Port is one published port.
type Port struct {
	HostIP        netip.Addr `json:"hostIP,omitzero"` // the zero Addr: every address
	HostPort      uint16     `json:"hostPort"`
	ContainerPort uint16     `json:"containerPort"`
	Protocol      string     `json:"protocol"` // tcp, udp or sctp
}

// Spawn is what of a container's life survives a reboot: the content of spawn.json. If the file exists, the container
// is kept when its program ends, until it is removed.
type Spawn struct {
	Created   time.Time `json:"created"`
	Started   time.Time `json:"started,omitzero"`
	Finished  time.Time `json:"finished,omitzero"`
	ExitCode  int       `json:"exitCode"`
	Detached  bool      `json:"detached"`
	OOMKilled bool      `json:"oomKilled,omitempty"` // a process of the container was killed for lack of memory
	Stopped   bool      `json:"stopped,omitempty"`   // by a user: no restart until the next start
	Restarts  int       `json:"restarts,omitempty"`  // by the restart policy, since the last start by a user
}

// Run is what a container loses at a reboot: the content of the run file, state.json.
type Run struct {
	Init    Process `json:"init"`             // PID 1 of the container
	Monitor Process `json:"monitor,omitzero"` // waits for it: md-spawn, or the foreground command

	// Input is the monitor's descriptor of the program's standard input, a pipe or terminal; 0 if there is none.
	Input int `json:"input,omitzero"`

	// Restart is when the monitor will start the ended program again; zero if it will not.
	Restart time.Time `json:"restart,omitzero"`
}

// Kept reports whether container id stays when its program ends, as docker's containers do. A container of an OCI
// runtime does not.
func (d Dir) Kept(id string) bool {
	_, err := os.Stat(filepath.Join(d.Bundle(id), SpawnFile))
	return err == nil
}

// ReadNet returns how container id is connected, the zero Net if it is not.
func (d Dir) ReadNet(id string) (Net, error) {
	var n Net
	err := ReadJSON(filepath.Join(d.Bundle(id), NetFile), &n)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return n, err
}

// ReadRun returns the content of container id's run file, the zero Run if there is none.
func (d Dir) ReadRun(id string) (Run, error) {
	var r Run
	err := ReadJSON(filepath.Join(d.Runtime(id), RunFile), &r)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return r, err
}

// ReadSpawn returns the record of container id's life, the zero Spawn if there is none.
func (d Dir) ReadSpawn(id string) (Spawn, error) {
	var s Spawn
	err := ReadJSON(filepath.Join(d.Bundle(id), SpawnFile), &s)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return s, err
}
