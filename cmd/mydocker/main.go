package main

import (
	_ "embed"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	_ "github.com/weikeit/mydocker/lib/linux/guard" // first of all
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
			{Name: "volume", Summary: "Manage volumes", More: true},
			{Name: "system", Summary: "Look after what is on the disk and in the kernel", More: true},
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
			{Name: "network inspect", Summary: "Print networks as JSON", New: command[networkInspect]},
			{Name: "network rm", Summary: "Remove one or more networks", New: command[networkRemove]},
			{Name: "network prune", Summary: "Remove all networks that no container uses", New: command[networkPrune]},
			{Name: "network reload", Summary: "Put back firewall rules and names of containers", New: command[networkReload]},
			{Name: "network connect", Summary: "Connect a container to a network", New: command[connect]},
			{Name: "network disconnect", Summary: "Disconnect a container from a network", New: command[disconnect]},
			{Name: "image list", Aliases: []string{"image ls"}, Summary: "List images on the host", New: command[imageList]},
			{Name: "image pull", Summary: "Pull an image from a registry", New: command[pull]},
			{Name: "image rm", Summary: "Remove one or more images", New: command[imageRemove]},
			{Name: "image prune", Summary: "Remove images that no container uses", New: command[imagePrune]},
			{Name: "image tag", Summary: "Give an image one more name", New: command[imageTag]},
			{Name: "image save", Summary: "Write an image to an archive", New: command[imageSave]},
			{Name: "image load", Summary: "Read images from an archive", New: command[imageLoad]},
			{Name: "attach", Summary: "Connect with a container that runs in the background", Failure: cli.ExitOurs, New: command[attach], More: true},
			{Name: "create", Summary: "Create a container without running it", New: command[create], More: true},
			{Name: "kill", Summary: "Send a signal to one or more containers", New: command[kill], More: true},
			{Name: "wait", Summary: "Wait for the end of containers and print their exit codes", New: command[wait], More: true},
			{Name: "diff", Summary: "Show what a container changed in its files", New: command[diff], More: true},
			{Name: "pause", Summary: "Stop all processes of one or more containers", New: command[pause], More: true},
			{Name: "unpause", Summary: "Let the processes of paused containers go on", New: command[unpause], More: true},
			{Name: "update", Summary: "Change limits of one or more containers", Usage: "[limits] CONTAINER...", New: command[update], More: true},
			{Name: "stats", Summary: "Show what containers use", New: command[stats], More: true},
			{Name: "top", Summary: "List the processes of a container", Usage: "CONTAINER [PS OPTIONS]", New: command[top], More: true},
			{Name: "port", Summary: "List the published ports of a container", New: command[port], More: true},
			{Name: "tag", Summary: "Give an image one more name", New: command[imageTag], More: true},
			{Name: "save", Summary: "Write an image to an archive, which docker load reads", New: command[imageSave], More: true},
			{Name: "load", Summary: "Read an image from an archive, such as that of docker save", New: command[imageLoad], More: true},
			{Name: "volume create", Summary: "Create a volume", New: command[volumeCreate]},
			{Name: "volume list", Aliases: []string{"volume ls"}, Summary: "List volumes on the host", New: command[volumeList]},
			{Name: "volume rm", Summary: "Remove one or more volumes", New: command[volumeRemove]},
			{Name: "volume prune", Summary: "Remove the volumes that no container uses", New: command[volumePrune]},
			{Name: "system check", Summary: "Show what is ours and nobody owns, or is broken", New: command[systemCheck]},
			{Name: "system prune", Summary: "Remove what system check shows", New: command[systemPrune]},
			{Name: "system df", Summary: "Show what takes space on the disk", New: command[systemDF]},
			{Name: "system boot", Summary: "Start the containers that run always, when the machine starts", New: command[systemBoot]},
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
func engine(std *cli.IO) (*container.Engine, error) {
	dir, err := state.FromEnv()
	if err != nil {
		return nil, err
	}
	return container.New(dir, func(format string, args ...any) { cli.Warn(std.Err, "mydocker", format, args...) }), nil
}
