package main

import (
	_ "embed"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/state"
)

//go:embed doc.go
var doc string

func main() {
	cli.Main(cli.Tool{
		Name: "mydocker",
		Summary: `mydocker is a simple container runtime implementation.
The purpose of this project is to learn how docker works and how to
write a docker-like container runtime by ourselves, enjoy it!`,
		Doc: doc,
		Groups: []cli.Group{
			{Name: "network", Summary: "Manage container networks"},
			{Name: "image", Summary: "Manage container images"},
		},
		Commands: []cli.Command{
			{Name: "run", Summary: "Create a new mydocker container", Failure: cli.ExitOurs, New: command[run]},
			{Name: "ps", Summary: "List all containers on the host", New: command[ps]},
			{Name: "logs", Summary: "Show all the logs of a container", New: command[logs]},
			{Name: "exec", Summary: "Run a command in a running container", Failure: cli.ExitOurs, New: command[execute]},
			{Name: "stop", Summary: "Stop one or more containers", New: command[stop]},
			{Name: "start", Summary: "Start one or more containers", New: command[start]},
			{Name: "restart", Summary: "Restart one or more containers", New: command[restart]},
			{Name: "rm", Summary: "Remove one or more containers", New: command[remove]},
			{Name: "rmn", Summary: "Remove one or more networks", New: command[networkRemove]},
			{Name: "rmi", Summary: "Remove one or more images", New: command[imageRemove]},
			{Name: "pull", Summary: "Pull an image from a registry", New: command[pull]},
			{Name: "inspect", Summary: "Print information of mydocker objects", New: command[inspect]},
			{Name: "networks", Summary: "List networks on the host", New: command[networkList]},
			{Name: "images", Summary: "List images on the host", New: command[imageList]},
			{Name: "network create", Summary: "Create a new network", New: command[networkCreate]},
			{Name: "network list", Aliases: []string{"network ls"}, Summary: "List networks on the host", New: command[networkList]},
			{Name: "network rm", Summary: "Remove one or more networks", New: command[networkRemove]},
			{Name: "network connect", Summary: "Connect a container to a network", New: command[connect]},
			{Name: "network disconnect", Summary: "Disconnect a container from a network", New: command[disconnect]},
			{Name: "image list", Aliases: []string{"image ls"}, Summary: "List images on the host", New: command[imageList]},
			{Name: "image pull", Summary: "Pull an image from a registry", New: command[pull]},
			{Name: "image rm", Summary: "Remove one or more images", New: command[imageRemove]},
		},
	})
}

// command makes an empty command of type T.
func command[T any, P interface {
	*T
	cli.Runner
}]() cli.Runner {
	return P(new(T))
}

// engine returns what all commands work with.
func engine(io *cli.IO) (*container.Engine, error) {
	dir, err := state.FromEnv()
	if err != nil {
		return nil, err
	}
	return container.New(dir, func(format string, args ...any) { cli.Warn(io.Err, "mydocker", format, args...) }), nil
}
