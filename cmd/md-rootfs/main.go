package main

import (
	_ "embed"

	"github.com/weikeit/mydocker/lib/cli"
)

//go:embed doc.go
var doc string

func main() { cli.Main(tool()) }

func tool() cli.Tool {
	return cli.Tool{
		Name:    "md-rootfs",
		Summary: "make the root file system of a container",
		Doc:     doc,
		Commands: []cli.Command{
			{Name: "mount", Summary: "Mount an image as the root of a new container, and print its document", New: cli.New[mount]},
			{Name: "umount", Summary: "Unmount the roots of containers, and remove those that are not kept", New: cli.New[umount]},
			{Name: "path", Summary: "Print the path of a container's root", New: cli.New[path]},
			{Name: "diff", Summary: "Print what a container changed in its root", New: cli.New[diff]},
		},
	}
}
