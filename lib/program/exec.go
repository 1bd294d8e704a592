// Package program fills in the process of a container, or of a further program in it (exec): environment, user and
// groups. It reads the document, the caller's options, and passwd and group in the container's root, which are untrusted.
package program

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// ExecOptions are the options for a further program in a running container.
type ExecOptions struct {
	Detach      bool     `short:"d" help:"Do not wait for the program to exit"`
	Env         []string `short:"e" sep:"none" help:"Set environment variables, e.g. -e key=value"`
	EnvFile     []string `sep:"none" help:"Set environment variables from a file, one key=value per line"`
	Workdir     string   `short:"w" help:"Working directory in the container"`
	User        string   `short:"u" help:"User of the program: name or number, or user:group"`
	Privileged  bool     `help:"Give the program all capabilities of the host's root"`
	TTY         *bool    `name:"tty" short:"t" help:"Give the program a terminal"`
	Interactive bool     `short:"i" help:"Keep standard input open"`
}

// Exec returns the process for a further program in a running container: the process of the document, changed by the
// options. Users are looked up in the root of process pid, the container's init.
func Exec(s *spec.Spec, pid int, o ExecOptions, args []string) (*specs.Process, error) {
	p := *s.ProcessPart()
	p.Args, p.CommandLine, p.Terminal = args, "", false
	p.Env = slices.Clone(p.Env)
	if o.TTY != nil {
		p.Terminal = *o.TTY
	}
	if o.Workdir != "" {
		if !path.IsAbs(o.Workdir) {
			return nil, fmt.Errorf("working directory %.200q: want an absolute path", o.Workdir)
		}
		p.Cwd = path.Clean(o.Workdir)
	}
	vars, err := Lookup(os.LookupEnv).ParseEnv(o.EnvFile, o.Env)
	if err != nil {
		return nil, err
	}
	if p.Terminal {
		p.Env = DefaultEnv(p.Env, []Variable{{Name: "TERM", Value: "xterm"}})
	}
	if o.Privileged {
		names := grantable(s).Names()
		p.Capabilities = &specs.LinuxCapabilities{Bounding: names, Effective: names, Permitted: names}
		p.ApparmorProfile = ""
		dropFromUser(&p)
	}
	if o.User != "" {
		root, err := linux.OpenRoot("/proc/" + strconv.Itoa(pid) + "/root")
		if err != nil {
			return nil, err
		}
		defer root.Close()
		if err := changeUser(&p, root, o.User); err != nil {
			return nil, err
		}
		if groups := s.Annotation(spec.AnnotationGroups); groups != "" {
			if err := AddGroups(&p, root, strings.Split(groups, ",")); err != nil {
				return nil, err
			}
		}
	}
	p.Env = SetEnv(p.Env, vars)
	return &p, nil
}

// grantable returns the capabilities that a program in the container can get. In a user namespace it is all of them,
// since they apply only there.
func grantable(s *spec.Spec) linux.Capabilities {
	if _, own := s.Namespace(specs.UserNamespace); own {
		return linux.KnownCapabilities()
	}
	return linux.HeldCapabilities()
}

// changeUser sets the user of a copied process, with the home directory and capabilities of that user.
func changeUser(p *specs.Process, root *linux.Root, user string) error {
	if caps := p.Capabilities; caps != nil {
		// Root gets all capabilities of the bounding set; FillUser drops them for other users.
		p.Capabilities = &specs.LinuxCapabilities{
			Bounding: caps.Bounding, Effective: caps.Bounding, Permitted: caps.Bounding,
		}
	}
	home, err := FillUser(p, root, user)
	if err != nil {
		return err
	}
	p.Env = SetEnv(p.Env, []Variable{{Name: "HOME", Value: home}})
	return nil
}
