package main

// elsewhere returns commands of docker and podman that mydocker does not have, and what to use instead.
func elsewhere() map[string]string {
	const (
		cluster = "mydocker does not manage clusters: run containers on each host"
		secrets = "mydocker does not store secrets: mount a file, e.g. -v /etc/key:/run/secrets/key:ro"
		builder = "build images with buildah or docker, and read them with load; import creates an image from an archive"
		pods    = "mydocker has no pods: --network container:NAME shares the network of a container"
	)
	return map[string]string{
		"swarm": cluster, "service": cluster, "stack": cluster, "node": cluster,
		"secret": secrets, "config": secrets,
		"build": builder, "buildx": builder, "builder": builder,
		"pod": pods, "play": pods, "kube": pods, "generate": pods,
		"plugin":     "mydocker has no plugins: the storage drivers are built in (run --storage-driver)",
		"context":    "mydocker has no daemon: MYDOCKER_ROOT and MYDOCKER_RUN select another set of containers",
		"machine":    "mydocker has no virtual machines: containers run on this host",
		"manifest":   "pull --platform selects one image of an index",
		"trust":      "mydocker does not check signatures: pull by digest, NAME@sha256:...",
		"checkpoint": "mydocker cannot save processes: pause freezes a container, export writes its files to an archive",
		"compose":    "start each service with run: the containers of a network find each other by name",
		"commit":     "export and import make an image of the files of a container",
		"search":     "search for images on the web page of the registry, and pull them by name",
		"mount":      "exec and cp access the files of a container; inspect shows its directories",
		"unshare":    "mydocker runs as root: use unshare(1)",
		"scout":      "mydocker does not scan images: save writes an archive for scanners",
	}
}
