// md-pull brings images into the store.
//
// A NAME is of a registry, mysql:5.7.25, 127.0.0.1:5000/foo@sha256:… (docker.io and latest by
// default), or of an image without one: ocidir:DIR[:TAG], oci-archive:FILE[:TAG],
// docker-archive:FILE[:NAME], or - for an archive on standard input. It says how far it is on standard
// output, which ends with the digest; with -q that is all. What is there already is not fetched again.
//
// With --to it writes an image of the store to a layout or an archive, which docker load, podman and skopeo
// read; what is not in the store is pulled first.
//
// # Files
//
//   - ~/.docker/config.json holds logins, or names the programs that do, as docker and others leave them there.
//   - /etc/mydocker/registries.conf names mirrors and registries without TLS, in the form of
//     containers-registries.conf(5). CONTAINERS_REGISTRIES_CONF in the environment names another file.
//   - ~/.config/containers/certs.d/HOST[:PORT], /etc/containers/certs.d/HOST[:PORT], /etc/docker/certs.d/HOST[:PORT]: the first
//     that is there holds a registry's certificates, as containers-certs.d(5) has it: *.crt are authorities, which count
//     beside the system's, *.cert with *.key are the client's. HOST[:PORT] is as in NAME. --cert-dir names another directory.
//
// A login and a client's certificate are sent to the registry itself, never to what it redirects to. The service that
// gives tokens may be elsewhere, if it and the registry speak https with certificates that are verified.
//
// # Examples
//
//	md-pull mysql:5.7.25
//	md-pull oci-archive:image.tar:latest
//	docker save busybox | md-pull -
//	md-pull --to - mysql:5.7.25 | docker load
package main
