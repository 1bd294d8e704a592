package main

import (
	_ "embed"

	"github.com/weikeit/mydocker/lib/cli"
	_ "github.com/weikeit/mydocker/lib/linux/guard" // initialised first
)

//go:embed doc.go
var doc string

func main() {
	cli.Main(cli.Tool{
		Name: "mydocker",
		Summary: `mydocker is a simple container runtime implementation.
The purpose of this project is to learn how docker works and how to
write a docker-like container runtime by ourselves, enjoy it!`,
		Doc:       doc,
		Elsewhere: elsewhere(),
		Groups: []cli.Group{
			{Name: "network", Summary: "Manage container networks"},
			{Name: "image", Summary: "Manage container images"},
			{Name: "container", Summary: "Manage containers, with docker's names for the commands", More: true},
			{Name: "volume", Summary: "Manage volumes", More: true},
			{Name: "system", Summary: "Manage what mydocker has on the disk and in the kernel", More: true},
		},
		Commands: []cli.Command{
			{Name: "run", Aliases: []string{"container run"}, Summary: "Create a new mydocker container", HelpUsage: "[command options] [arguments...]", Groups: optionGroups(),
				Failure: cli.ExitOurs, New: cli.New[run]},
			{Name: "ps", Aliases: []string{"container ls", "container list", "container ps"}, Summary: "List all containers on the host", New: cli.New[ps]},
			{Name: "logs", Aliases: []string{"container logs"}, Summary: "Show all the logs of a container", New: cli.New[logs]},
			{Name: "exec", Aliases: []string{"container exec"}, Summary: "Run a command in a running container", Failure: cli.ExitOurs, New: cli.New[execute]},
			{Name: "stop", Aliases: []string{"container stop"}, Summary: "Stop one or more containers", New: cli.New[stop]},
			{Name: "start", Aliases: []string{"container start"}, Summary: "Start one or more containers", New: cli.New[start]},
			{Name: "restart", Aliases: []string{"container restart"}, Summary: "Restart one or more containers", New: cli.New[restart]},
			{Name: "rm", Aliases: []string{"container rm"}, Summary: "Remove one or more containers", New: cli.New[remove]},
			{Name: "rmn", Summary: "Remove one or more networks", New: cli.New[networkRemove]},
			{Name: "rmi", Summary: "Remove one or more images", New: cli.New[imageRemove]},
			{Name: "pull", Summary: "Pull an image from a registry", New: cli.New[pull]},
			{Name: "inspect", Summary: "Print information of mydocker objects", New: cli.New[inspect]},
			{Name: "networks", Summary: "List networks on the host", New: cli.New[networkList]},
			{Name: "images", Summary: "List images on the host", New: cli.New[imageList]},
			{Name: "network create", Summary: "Create a new network", New: cli.New[networkCreate]},
			{Name: "network list", Aliases: []string{"network ls"}, Summary: "List networks on the host", New: cli.New[networkList]},
			{Name: "network inspect", Summary: "Print networks as JSON", New: cli.New[networkInspect]},
			{Name: "network rm", Summary: "Remove one or more networks", New: cli.New[networkRemove]},
			{Name: "network prune", Summary: "Remove all networks that no container uses", New: cli.New[networkPrune]},
			{Name: "network reload", Summary: "Restore firewall rules and names of containers", New: cli.New[networkReload]},
			{Name: "network connect", Summary: "Connect a container to a network", New: cli.New[connect]},
			{Name: "network disconnect", Summary: "Disconnect a container from a network", New: cli.New[disconnect]},
			{Name: "image list", Aliases: []string{"image ls"}, Summary: "List images on the host", New: cli.New[imageList]},
			{Name: "image pull", Summary: "Pull an image from a registry", New: cli.New[pull]},
			{Name: "image rm", Summary: "Remove one or more images", New: cli.New[imageRemove]},
			{Name: "image prune", Summary: "Remove unnamed images that no container uses", New: cli.New[imagePrune]},
			{Name: "image tag", Summary: "Give an image an additional name", New: cli.New[imageTag]},
			{Name: "image save", Summary: "Write an image to an archive", New: cli.New[imageSave]},
			{Name: "image load", Summary: "Read images from an archive", New: cli.New[imageLoad]},
			{Name: "image inspect", Summary: "Print images as docker's JSON", New: cli.New[imageInspect]},
			{Name: "attach", Aliases: []string{"container attach"}, Summary: "Attach to a container that runs in the background", Failure: cli.ExitOurs, New: cli.New[attach], More: true},
			{Name: "create", Aliases: []string{"container create"}, Summary: "Create a container without running it", Groups: optionGroups(), New: cli.New[create], More: true},
			{Name: "kill", Aliases: []string{"container kill"}, Summary: "Send a signal to one or more containers", New: cli.New[kill], More: true},
			{Name: "wait", Aliases: []string{"container wait"}, Summary: "Wait for the end of containers and print their exit codes", New: cli.New[wait], More: true},
			{Name: "diff", Aliases: []string{"container diff"}, Summary: "Show what a container changed in its file system", New: cli.New[diff], More: true},
			{Name: "cp", Aliases: []string{"container cp"}, Summary: "Copy files between a container and the host", New: cli.New[copyFiles], More: true},
			{Name: "rename", Aliases: []string{"container rename"}, Summary: "Give a container another name", New: cli.New[rename], More: true},
			{Name: "pause", Aliases: []string{"container pause"}, Summary: "Freeze all processes of one or more containers", New: cli.New[pause], More: true},
			{Name: "unpause", Aliases: []string{"container unpause"}, Summary: "Thaw the processes of one or more paused containers", New: cli.New[unpause], More: true},
			{Name: "update", Aliases: []string{"container update"}, Summary: "Change the limits of one or more containers", New: cli.New[update], More: true},
			{Name: "stats", Aliases: []string{"container stats"}, Summary: "Show the resource usage of containers", New: cli.New[stats], More: true},
			{Name: "top", Aliases: []string{"container top"}, Summary: "List the processes of a container", Usage: "CONTAINER [PS-OPTION...]", New: cli.New[top], More: true},
			{Name: "port", Aliases: []string{"container port"}, Summary: "List the published ports of a container", New: cli.New[port], More: true},
			{Name: "tag", Summary: "Give an image an additional name", New: cli.New[imageTag], More: true},
			{Name: "save", Summary: "Write an image to an archive that docker load can read", New: cli.New[imageSave], More: true},
			{Name: "load", Summary: "Read images from an archive, such as one of docker save", New: cli.New[imageLoad], More: true},
			{Name: "export", Aliases: []string{"container export"}, Summary: "Write the files of a container to an archive", New: cli.New[export], More: true},
			{Name: "import", Aliases: []string{"image import"}, Summary: "Create an image from an archive of files", New: cli.New[imageImport], More: true},
			{Name: "history", Aliases: []string{"image history"}, Summary: "Show how an image was built", New: cli.New[history], More: true},
			{Name: "version", Summary: "Print versions, and what this host supports", New: cli.New[version], More: true, Anyone: true},
			{Name: "info", Summary: "Print counts of containers and images, and facts about the host", New: cli.New[info], More: true},
			{Name: "container inspect", Summary: "Print containers as docker's JSON", New: cli.New[containerInspect]},
			{Name: "container prune", Summary: "Remove the containers that do not run", New: cli.New[containerPrune]},
			{Name: "volume inspect", Summary: "Print volumes as docker's JSON", New: cli.New[volumeInspect]},
			{Name: "volume create", Summary: "Create a volume", New: cli.New[volumeCreate]},
			{Name: "volume list", Aliases: []string{"volume ls"}, Summary: "List volumes on the host", New: cli.New[volumeList]},
			{Name: "volume rm", Summary: "Remove one or more volumes", New: cli.New[volumeRemove]},
			{Name: "volume prune", Summary: "Remove anonymous volumes that no container uses", New: cli.New[volumePrune]},
			{Name: "system check", Summary: "Show orphans, and networks that another program broke", New: cli.New[systemCheck]},
			{Name: "system prune", Summary: "Remove what system check shows", New: cli.New[systemPrune]},
			{Name: "system df", Summary: "Show disk usage", New: cli.New[systemDF]},
			{Name: "system boot", Summary: "Start the containers that restart always or unless stopped, when the machine starts", New: cli.New[systemBoot]},
		},
	})
}
