package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/go-units"

	"github.com/weikeit/mydocker/lib/cli"
)

type info struct {
	Format string `help:"json, or a Go template such as '{{.Driver}} {{.CgroupVersion}}'"`
}

// Run implements cli.Runner. Warnings go to standard error.
func (c *info) Run(_ context.Context, std *cli.IO) error {
	e, err := engine(std)
	if err != nil {
		return err
	}
	i, err := e.Info(thisVersion())
	if err != nil {
		return err
	}
	return formatted(std, c.Format, i, func() []line {
		for _, warning := range i.Warnings {
			cli.Warn(std.Err, "mydocker", "%s", warning)
		}
		return []line{
			{"Containers", strconv.Itoa(i.Containers)},
			{" Running", strconv.Itoa(i.ContainersRunning)},
			{" Paused", strconv.Itoa(i.ContainersPaused)},
			{" Stopped", strconv.Itoa(i.ContainersStopped)},
			{"Images", strconv.Itoa(i.Images)},
			{"Server Version", i.ServerVersion},
			{"Storage Driver", i.Driver},
			{"Cgroup Driver", i.CgroupDriver},
			{"Cgroup Version", i.CgroupVersion},
			{"Security Options", strings.Join(i.SecurityOptions, " ")},
			{"Kernel Version", i.KernelVersion},
			{"Operating System", i.OperatingSystem},
			{"OSType", i.OSType},
			{"Architecture", i.Architecture},
			{"CPUs", strconv.Itoa(i.NCPU)},
			{"Total Memory", units.BytesSize(float64(i.MemTotal))},
			{"Name", i.Name},
			{"Root Dir", i.DockerRootDir},
		}
	})
}

// line is one thing and what it is.
type line struct{ name, value string }

// formatted prints a value as JSON, by a Go template, or in lines where format is "".
func formatted(std *cli.IO, format string, value any, lines func() []line) error {
	switch {
	case format == "json":
		return cli.JSONLines(std.Out, []any{value})
	case format == "":
		out := cli.Screen(std.Out)
		for _, l := range lines() {
			if _, err := fmt.Fprintln(out, strings.TrimRight(l.name+": "+l.value, " ")); err != nil {
				return err
			}
		}
		return nil
	case !strings.Contains(format, "{{"):
		return cli.Usagef("--format %.60q: want json or a Go template", format)
	}
	t, err := cli.ParseTemplate(format, value)
	if err != nil {
		return err
	}
	return t.Print(std.Out, value)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
