package main

import (
	"context"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
)

type version struct {
	Format string `help:"json, or a Go template such as '{{.Server.Version}}'"`
}

// Run implements cli.Runner. Unlike docker's, it prints nothing twice: client and server are one program.
func (c *version) Run(_ context.Context, std *cli.IO) error {
	v := thisVersion()
	return formatted(std, c.Format, v, func() []line {
		return []line{
			{"Client version", v.Client.Version},
			{"Server version", v.Server.Version + " (no daemon: the same programs)"},
			{"Commit", v.Client.GitCommit},
			{"Go version", v.Client.GoVersion},
			{"OS/Arch", v.Client.Os + "/" + v.Client.Arch},
			{"Kernel", v.Server.KernelVersion},
			{"Cgroup version", v.Server.CgroupVersion},
			{"Storage driver", v.Server.StorageDriver},
			{"Seccomp", yesNo(v.Server.Seccomp)},
			{"AppArmor", yesNo(v.Server.AppArmor)},
			{"User namespaces", yesNo(v.Server.UserNamespaces)},
			{"IPv6", yesNo(v.Server.IPv6)},
		}
	})
}

func thisVersion() container.Version { return container.NewVersion(cli.Version, cli.Commit) }
