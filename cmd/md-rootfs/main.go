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
			{Name: "mount", Summary: "Mount an image as a container's root and print its document",
				Usage: "[command options] IMAGE [ARG...]", New: func() cli.Runner { return &mount{} }},
			{Name: "umount", Summary: "Unmount the roots of containers, and remove those that are not kept",
				Usage: "ID...", New: func() cli.Runner { return &umount{} }},
			{Name: "path", Summary: "Print where the root of a container is",
				Usage: "ID", New: func() cli.Runner { return &path{} }},
			{Name: "diff", Summary: "Print what a container changed in its root",
				Usage: "ID", New: func() cli.Runner { return &diff{} }},
		},
	}
}
