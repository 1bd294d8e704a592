// md-rootfs makes the root file system of a container of an image, and starts the pipe.
//
// mount mounts the image's layers, and an empty one to write to, as the root of a new container, makes its
// /etc/hosts and the like, and prints the document. ARGs run in the image's entrypoint, in place of its own.
// With --spec FILE (- is standard input) the document of another program is filled in instead of a new one.
//
// In place of an image there can be a directory, which is not written to, or an archive (tar): a path that
// starts with / or with a dot, or - for an archive on standard input. Without ARGs its program is sh.
//
// umount unmounts roots; what was written goes, unless the container is kept (md-spawn run --keep). path
// prints where a root is. diff prints what changed in it, one line each: A added, C changed, D deleted.
//
// # Examples
//
//	md-rootfs mount -v /srv/www:/var/www:ro busybox httpd -f | md-net attach | md-spawn run -d
//	mmdebstrap bookworm - | md-rootfs mount - | md-net attach | md-spawn run -t
//	md-rootfs diff web
//	ls "$(md-rootfs path web)/etc"
package main
