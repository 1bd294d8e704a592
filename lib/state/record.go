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

// Net is the content of net.json: how a container is connected.
type Net struct {
	Mode      string     `json:"mode"` // bridge, none, host, container:ID or ns:PATH
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	Ports     []Port     `json:"ports,omitempty"`
	Names     []string   `json:"names,omitempty"`    // name and id, under which other containers find it
	Hostname  string     `json:"hostname,omitempty"` // in its own hosts file only
	Unnamed   bool       `json:"unnamed,omitempty"`  // not in the hosts files of other containers
	Joining   string     `json:"joining,omitempty"`  // network of a connect or disconnect that has not finished

	// For a network namespace of another program, which has no document:
	NetNS   string  `json:"netns,omitempty"`  // its path
	Process Process `json:"process,omitzero"` // its process, if the path is in /proc
	CNI     CNI     `json:"cni,omitzero"`     // its CNI names, if a CNI runtime asked for it
}

// CNI names an attachment as its runtime does (CNI specification, section 2 "Parameters"). Our id is made of the names.
type CNI struct {
	Network     string `json:"network"`     // name of the network configuration
	ContainerID string `json:"containerID"` // CNI_CONTAINERID
	IfName      string `json:"ifname"`      // CNI_IFNAME
}

// Endpoint is a container's connection to one network.
type Endpoint struct {
	ID       string       `json:"id"` // 12 hexadecimal digits
	Network  string       `json:"network"`
	Driver   string       `json:"driver"`
	Address  netip.Prefix `json:"address"`            // IPv4, with the prefix length of the subnet
	Address6 netip.Prefix `json:"address6,omitzero"`  // IPv6, if the network has it
	Aliases  []string     `json:"aliases,omitempty"`  // more names in this network
	Internal bool         `json:"internal,omitempty"` // the network is internal: no default route, no ports
	MAC      string       `json:"mac"`
	HostLink string       `json:"hostLink"` // host end of the veth pair: veth- and eight digits of the id
	Link     string       `json:"link"`     // container end: ceth- and the same digits
}

// Port is a published port.
type Port struct {
	HostIP        netip.Addr `json:"hostIP,omitzero"` // zero: every address
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
