// md-rootfs makes the root file system of a container from an image, and starts the pipe.
//
// mount mounts the image's layers below an empty upper directory as the root of a new container, writes its
// /etc/hosts and the like, and prints the document. ARGs replace the arguments of the image's entrypoint.
// With --spec FILE (- is standard input) it fills in the document of another program instead of a new one.
//
// IMAGE can also be a directory, which is not written to, or a tar archive: a path that
// starts with / or a dot, or - for an archive on standard input. Without ARGs its program is sh.
//
// umount unmounts roots and removes the upper directory, unless the container is kept (md-spawn run --keep). path
// prints the path of a root. diff prints what changed in it, one line each: A added, C changed, D deleted.
//
// # Examples
//
//	md-rootfs mount -v /srv/www:/var/www:ro busybox httpd -f | md-net attach | md-spawn run -d
//	mmdebstrap bookworm - | md-rootfs mount - | md-net attach | md-spawn run -t
//	md-rootfs diff web
//	ls "$(md-rootfs path web)/etc"
package main
