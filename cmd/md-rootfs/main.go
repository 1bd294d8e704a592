// Md-rootfs makes the root file system of a container of an image, and starts the pipe.
//
// Synopsis:
//
//	md-rootfs mount [OPTION…] IMAGE [ARG…]   mount the image's layers, print the document
//	md-rootfs umount ID…                     unmount; remove it unless the container is kept
//	md-rootfs path ID                        print where the root is
//	md-rootfs diff ID                        print what changed: A added, C changed, D deleted
//
// ARGs run in the image's entrypoint, in place of its own. With --spec FILE (- is standard input) the
// document of another program is filled in instead of a new one.
//
// Exit status: 0; 1 the operation failed; 2 wrong usage.
package main

import "github.com/weikeit/mydocker/lib/cli"

func main() { cli.Main(tool()) }

func tool() cli.Tool {
	return cli.Tool{
		Name:    "md-rootfs",
		Summary: "make the root file system of a container",
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
