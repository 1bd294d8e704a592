// md-pull brings images into the store.
//
// A NAME is an image in a registry, mysql:5.7.25 or 127.0.0.1:5000/foo@sha256:… (docker.io and latest by
// default), or one elsewhere: ocidir:DIR[:TAG], oci-archive:FILE[:TAG],
// docker-archive:FILE[:NAME], or - for an archive on standard input. Progress goes to standard
// output, followed by the digest; with -q only the digest is printed. Blobs in the store are not fetched again.
//
// With --to it writes an image of the store to a layout or an archive that docker load, podman and skopeo
// can read. An image that is not in the store is pulled first.
//
// # Files
//
//   - ~/.docker/config.json holds logins, or names the credential helpers that have them, in docker's form.
//   - /etc/mydocker/registries.conf names mirrors and registries without TLS, in the form of
//     containers-registries.conf(5). CONTAINERS_REGISTRIES_CONF in the environment names another file.
//   - ~/.config/containers/certs.d/HOST[:PORT], /etc/containers/certs.d/HOST[:PORT], /etc/docker/certs.d/HOST[:PORT]: the first
//     that exists holds a registry's certificates, as in containers-certs.d(5): *.crt are authorities in addition
//     to the system's, *.cert with *.key are the client's. HOST[:PORT] is as in NAME. --cert-dir names another directory.
//
// A login and a client's certificate are sent only to the registry, never to a server that it redirects to. The token
// service may be another server, if both speak https with verified certificates.
//
// # Examples
//
//	md-pull mysql:5.7.25
//	md-pull oci-archive:image.tar:latest
//	docker save busybox | md-pull -
//	md-pull --to - mysql:5.7.25 | docker load
package main
