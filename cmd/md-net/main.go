// md-net makes networks and connects containers to them.
//
// Synopsis:
//
//	md-net create [-s CIDR] NAME
//	md-net list
//	md-net inspect|rm NAME...
//	md-net attach [--network NAME]... [-p PORT]... [--spec FILE | --bundle DIR] < DOCUMENT > DOCUMENT
//	md-net detach ID
//	md-net connect|disconnect NETWORK CONTAINER
//
// create makes a network; without -s it gets a free /24. Its bridge comes with the first container. list
// and inspect only read. rm removes networks that no container uses, with their bridges and rules.
//
// attach is a stage of the pipe: it claims an address in each network (mydocker0 where none is named),
// makes the container's network namespace and a pair of links for each network, publishes the ports, and
// hands the document on with the path of the namespace in linux.namespaces and its own release in
// hooks.poststop. --network is also none (a namespace with lo alone), host, container:CONTAINER or ns:PATH.
//
// detach is that release. It is idempotent. A container that is kept when its process ends keeps its
// addresses, too; any other one gives them back.
//
// connect and disconnect work on running and on stopped containers.
//
// A CONTAINER is an id, a name, or the beginning of an id. Exit status: 0; 1 where something failed; 2
// wrong usage.
package main

import "github.com/weikeit/mydocker/lib/cli"

func main() {
	cli.Main(cli.Tool{
		Name:    "md-net",
		Summary: "make networks and connect containers to them",
		Commands: []cli.Command{
			{Name: "create", Summary: "Create a network", Usage: "[command options] NAME", New: func() cli.Runner { return &create{} }},
			{Name: "list", Summary: "List the networks of this host", Usage: " ", New: func() cli.Runner { return &list{} }},
			{Name: "inspect", Summary: "Print networks as JSON", Usage: "NAME...", New: func() cli.Runner { return &inspect{} }},
			{Name: "rm", Summary: "Remove networks that no container uses", Usage: "NAME...", New: func() cli.Runner { return &remove{} }},
			{Name: "attach", Summary: "Connect the container of the document on standard input", Usage: "[command options] < DOCUMENT",
				Stage: true, New: func() cli.Runner { return &attach{} }},
			{Name: "detach", Summary: "Disconnect a container that has ended", Usage: "ID", New: func() cli.Runner { return &detach{} }},
			{Name: "connect", Summary: "Connect a container to one more network", Usage: "NETWORK CONTAINER",
				New: func() cli.Runner { return &connect{} }},
			{Name: "disconnect", Summary: "Disconnect a container from a network", Usage: "NETWORK CONTAINER",
				New: func() cli.Runner { return &disconnect{} }},
		},
	})
}
