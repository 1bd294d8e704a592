// Package cni is the protocol of a plugin of the Container Network Interface (specification 1.1, and older ones from 0.3.0
// on): the call of a runtime with its parameters and configuration, the result, and errors with their codes.
package cni

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// The commands of a plugin (CNI specification 1.1, section 2).
const (
	Add     = "ADD"
	Del     = "DEL"
	Check   = "CHECK"
	GC      = "GC"
	Status  = "STATUS"
	Version = "VERSION"
)

// maxConfig is the size limit of the configuration in bytes.
const maxConfig = 1 << 20

// SupportedVersions lists the supported versions of the specification in order.
func SupportedVersions() []string { return []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} }

// Call is one call of the plugin: parameters and configuration.
type Call struct {
	Command string
	Config  Config
	NetNS   string // CNI_NETNS, absolute
	Names   state.CNI
}

// ID returns our id for the attachment. The runtime's names can be long and of many forms; the id is a safe path element,
// and the same at each call.
func (c Call) ID() string {
	sum := sha256.Sum256([]byte(c.Names.Network + "\n" + c.Names.ContainerID + "\n" + c.Names.IfName))
	return hex.EncodeToString(sum[:6])
}

// Read reads a call: the parameters from the environment, the configuration from in. check may refuse a configuration. After
// an error the call has what was read so far.
func Read(getenv func(string) string, in io.Reader, check func(Config) error) (Call, error) {
	c := Call{Command: getenv("CNI_COMMAND")}
	if !slices.Contains([]string{Add, Del, Check, GC, Status, Version}, c.Command) {
		return c, &Error{CodeBadEnvironment, fmt.Errorf("CNI_COMMAND %.20q: want ADD, DEL, CHECK, GC, STATUS or VERSION", c.Command)}
	}
	data, err := io.ReadAll(io.LimitReader(in, maxConfig+1))
	switch {
	case err != nil:
		return c, &Error{CodeIO, fmt.Errorf("read the configuration: %w", err)}
	case len(data) > maxConfig:
		return c, &Error{CodeBadConfig, fmt.Errorf("the configuration is longer than %d bytes", maxConfig)}
	case c.Command == Version && len(bytes.TrimSpace(data)) == 0:
		c.Config.CNIVersion = "1.1.0"
		return c, nil
	}
	if err := json.Unmarshal(data, &c.Config); err != nil {
		return c, &Error{CodeDecode, fmt.Errorf("read the configuration: %w", err)}
	}
	if c.Command == Version {
		return c, nil
	}
	if err := c.Config.check(c.Command); err != nil {
		return c, err
	}
	if err := check(c.Config); err != nil {
		return c, &Error{CodeBadConfig, err}
	}
	return c, c.readNames(getenv)
}

// readNames reads the parameters of the commands that concern one interface.
func (c *Call) readNames(getenv func(string) string) error {
	if c.Command == GC || c.Command == Status {
		return nil
	}
	c.Names = state.CNI{Network: c.Config.Name, ContainerID: getenv("CNI_CONTAINERID"), IfName: getenv("CNI_IFNAME")}
	c.NetNS = getenv("CNI_NETNS")
	var errs []error
	if !isName(c.Names.ContainerID) {
		errs = append(errs, fmt.Errorf("CNI_CONTAINERID %.80q: want letters, digits, _ . -, a letter or digit first", c.Names.ContainerID))
	}
	if err := checkIfName(c.Names.IfName); err != nil {
		errs = append(errs, err)
	}
	if c.Command != Del {
		path, err := checkNetNS(c.NetNS)
		if err != nil {
			errs = append(errs, fmt.Errorf("CNI_NETNS: %w", err))
		}
		c.NetNS = path
	}
	if c.Command == Add {
		errs = append(errs, c.Config.readArgs(getenv("CNI_ARGS")))
	}
	if err := errors.Join(errs...); err != nil {
		return &Error{CodeBadEnvironment, err}
	}
	return nil
}

// checkNetNS returns the absolute path of a network namespace that is not the host's.
func checkNetNS(path string) (string, error) {
	if path == "" {
		return "", errors.New("missing")
	}
	path, err := filepath.Abs(path)
	if err == nil {
		err = linux.CheckNetNS(path)
	}
	if err == nil && link.IsOwnNamespace(path) {
		err = fmt.Errorf("%s is the host's own network namespace", path)
	}
	return path, err
}

// isName reports whether s has the form of a container id and of a network name.
func isName(s string) bool {
	for i, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		case i > 0 && strings.ContainsRune("_.-", r):
		default:
			return false
		}
	}
	return s != ""
}

// checkIfName returns an error if no link can have the name (dev_valid_name in the kernel).
func checkIfName(name string) error {
	odd := func(r rune) bool { return r == '/' || r == ':' || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if name == "" || len(name) > link.MaxName || name == "." || name == ".." || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("CNI_IFNAME %.80q: want 1 to %d characters without / : and blanks", name, link.MaxName)
	}
	return nil
}

// WriteVersions writes the answer to VERSION.
func (c Call) WriteVersions(w io.Writer) error {
	return WriteJSON(w, struct {
		CNIVersion string   `json:"cniVersion"`
		Supported  []string `json:"supportedVersions"`
	}{c.Config.CNIVersion, SupportedVersions()})
}

// WriteJSON writes a result.
func WriteJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "    ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// The error codes of the specification (section 5 "Error"). Codes from 100 on are our own.
const (
	CodeVersion            = 1
	CodeUnsupportedField   = 2
	CodeUnknownContainer   = 3
	CodeBadEnvironment     = 4
	CodeIO                 = 5
	CodeDecode             = 6
	CodeBadConfig          = 7
	CodeUnavailable        = 50
	CodeUnavailableLimited = 51
	CodeFailed             = 100
)

// Error is an error with a code.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// WriteError writes an error in the form of the specification, and returns the exit code.
func WriteError(w io.Writer, version string, err error) (code int) {
	reply := struct {
		CNIVersion string `json:"cniVersion,omitempty"`
		Code       int    `json:"code"`
		Msg        string `json:"msg"`
		Details    string `json:"details,omitempty"`
	}{version, CodeFailed, strings.ReplaceAll(err.Error(), "\n", "; "), ""}
	var known *Error
	if errors.As(err, &known) {
		reply.Code = known.Code
	}
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		reply.Details = hint.Hint()
	}
	_ = WriteJSON(w, reply) // the exit code reports the failure too
	return 1
}
