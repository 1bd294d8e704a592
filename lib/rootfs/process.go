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

// fillProcess completes the process of the document. Fields that neither user nor image sets keep their value.
func (c *container) fillProcess(s *spec.Spec, root *linux.Root) error {
	p, config := s.ProcessPart(), c.image.Config.Config
	if args := command(config, c.options.Entrypoint, c.args); len(args) > 0 {
		p.Args = args
	}
	if len(p.Args) == 0 {
		return fmt.Errorf("image %s names no program: pass one as argument", c.record.Image)
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
	user := c.options.User
	if user == "" {
		user = config.User
	}
	home, err := program.FillUser(p, root, user)
	if err != nil {
		return err
	}
	if err := program.AddGroups(p, root, c.posture.groups); err != nil {
		return err
	}
	if len(c.posture.groups) > 0 { // for exec with another user
		s.Annotate(spec.AnnotationGroups, strings.Join(c.posture.groups, ","))
	}
	defaults := []program.Variable{{Name: "HOME", Value: home}, {Name: "HOSTNAME", Value: s.Hostname}}
	if p.Terminal {
		defaults = append(defaults, program.Variable{Name: "TERM", Value: "xterm"})
	}
	p.Env = program.DefaultEnv(slices.Clone(c.record.Env), defaults)
	return nil
}

// environment merges the variables of the document, the image, --env-file and -e, in this order, and adds a default
// PATH.
func (c *container) environment(s *spec.Spec) []string {
	env := program.SetEnv(s.ProcessPart().Env, append(imageEnv(c.image.Config.Config.Env), c.env...))
	return program.DefaultEnv(env, []program.Variable{{Name: "PATH", Value: program.DefaultPath}})
}

// command combines entrypoint and arguments as docker does ("Understand how CMD and ENTRYPOINT interact"): arguments of
// the user replace the image's Cmd; an entrypoint of the user replaces Entrypoint and Cmd.
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

// imageEnv parses the environment of an image. Words that are not assignments are left out.
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
