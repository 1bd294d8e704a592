// md-rootfs makes the root file system of a container of an image, and starts the pipe.
//
// mount mounts the image's layers, and an empty one to write to, as the root of a new container, makes its
// /etc/hosts and the like, and prints the document. ARGs run in the image's entrypoint, in place of its own.
// With --spec FILE (- is standard input) the document of another program is filled in instead of a new one.
//
// umount unmounts roots; what was written goes, unless the container is kept (md-spawn run --keep). path
// prints where a root is. diff prints what changed in it, one line each: A added, C changed, D deleted.
//
// # Examples
//
//	md-rootfs mount -v /srv/www:/var/www:ro busybox httpd -f | md-net attach | md-spawn run -d
//	md-rootfs diff web
//	ls "$(md-rootfs path web)/etc"
package main
