package rootfs

import (
	"fmt"
	"path"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
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
	home, err := fillUser(p, root, who)
	if err != nil {
		return err
	}
	defaults := []variable{{name: "HOME", value: home}, {name: "HOSTNAME", value: s.Hostname}}
	if p.Terminal {
		defaults = append(defaults, variable{name: "TERM", value: "xterm"})
	}
	p.Env = defaultEnv(slices.Clone(c.record.Env), defaults)
	return nil
}

// environment is what document, image, files and user say, in this order, and a PATH.
func (c *container) environment(s *spec.Spec) []string {
	env := setEnv(s.ProcessPart().Env, append(imageEnv(c.image.Config.Config.Env), c.env...))
	return defaultEnv(env, []variable{{name: "PATH", value: defaultPath}})
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

// fillUser writes the process's user, and returns its home. Without a word from user and image, a
// document that is no root's keeps its user.
func fillUser(p *specs.Process, root *linux.Root, who string) (home string, err error) {
	if who == "" && (p.User.UID != 0 || p.User.GID != 0) {
		who = fmt.Sprintf("%d:%d", p.User.UID, p.User.GID)
	}
	account, err := lookupUser(root, who)
	if err != nil {
		return "", err
	}
	umask := uint32(0o022)
	p.User = specs.User{UID: account.uid, GID: account.gid, AdditionalGids: account.groups, Umask: &umask}
	if caps := p.Capabilities; caps != nil && account.uid != 0 {
		// As execve(2) does when root becomes another: what stays is the bound for setuid programs.
		caps.Effective, caps.Permitted, caps.Ambient = nil, nil, nil
	}
	return account.home, nil
}
