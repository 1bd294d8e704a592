package rootfs

import (
	"fmt"
	"path"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/program"
	"github.com/weikeit/mydocker/lib/spec"
)

// fillProcess writes the document's process. What neither user nor image speaks of stays as the
// document has it.
func (c *container) fillProcess(s *spec.Spec, root *linux.Root) error {
	p, config := s.ProcessPart(), c.image.Config.Config
	if args := command(config, c.options.Entrypoint, c.args); len(args) > 0 {
		p.Args = args
	}
	if len(p.Args) == 0 {
		return fmt.Errorf("image %s names no program: give one", c.record.Image)
	}
	p.CommandLine = ""
	if c.options.TTY != nil {
		p.Terminal = *c.options.TTY
	}
	switch {
	case c.options.Workdir != "":
		p.Cwd = path.Clean(c.options.Workdir)
	case config.WorkingDir != "":
		p.Cwd = path.Clean("/" + config.WorkingDir)
	case p.Cwd == "":
		p.Cwd = "/"
	}
	who := c.options.User
	if who == "" {
		who = config.User
	}
	home, err := program.FillUser(p, root, who)
	if err != nil {
		return err
	}
	if err := program.AddGroups(p, root, c.posture.groups); err != nil {
		return err
	}
	if len(c.posture.groups) > 0 { // for programs that exec runs as another user
		s.Annotate(spec.AnnotationGroups, strings.Join(c.posture.groups, ","))
	}
	defaults := []program.Variable{{Name: "HOME", Value: home}, {Name: "HOSTNAME", Value: s.Hostname}}
	if p.Terminal {
		defaults = append(defaults, program.Variable{Name: "TERM", Value: "xterm"})
	}
	p.Env = program.DefaultEnv(slices.Clone(c.record.Env), defaults)
	return nil
}

// environment is what document, image, files and user say, in this order, and a PATH.
func (c *container) environment(s *spec.Spec) []string {
	env := program.SetEnv(s.ProcessPart().Env, append(imageEnv(c.image.Config.Config.Env), c.env...))
	return program.DefaultEnv(env, []program.Variable{{Name: "PATH", Value: program.DefaultPath}})
}

// command joins entrypoint and arguments (docker's "CMD and ENTRYPOINT"): the user's arguments replace
// the image's; an entrypoint of the user's replaces both of the image's.
func command(config v1.ImageConfig, entrypoint *string, args []string) []string {
	switch {
	case entrypoint == nil && len(args) == 0:
		return slices.Concat(config.Entrypoint, config.Cmd)
	case entrypoint == nil:
		return slices.Concat(config.Entrypoint, args)
	case *entrypoint == "":
		return args
	}
	return append([]string{*entrypoint}, args...)
}

// imageEnv reads the environment of an image; what is no assignment is left out.
func imageEnv(words []string) []program.Variable {
	var vars []program.Variable
	for _, word := range words {
		name, value, valued := strings.Cut(word, "=")
		if valued && name != "" && !strings.ContainsRune(word, 0) {
			vars = append(vars, program.Variable{Name: name, Value: value})
		}
	}
	return vars
}
