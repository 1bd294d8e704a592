// md-net makes networks and connects containers to them.
//
// create makes a network; without -s it gets a free /24. Its bridge comes with the first container. list
// and inspect only read. rm removes networks that no container uses, with their bridges and rules.
//
// attach is a stage of the pipe: it claims an address in each network (mydocker0 where none is named),
// makes the container's network namespace and a pair of links for each network, publishes the ports, and
// hands the document on with the path of the namespace in linux.namespaces and its own release in
// hooks.poststop. --network is also none (a namespace with lo alone), host, container:CONTAINER or ns:PATH.
//
// With --pid or --netns attach needs no document: it connects the network namespace of a process, or one with
// a path or a name (as ip-netns(8) has them), and prints the id that it is called by from then on. When the
// namespace is gone, so is what it was given.
//
// detach is that release. It is idempotent. A container that is kept when its process ends keeps its
// addresses, too; any other one gives them back.
//
// connect and disconnect work on running and on stopped containers.
//
// exec runs a program of this host, not of the image, inside a network: that of a container, of a process,
// or of any namespace.
//
// A CONTAINER is an id, a name, or the beginning of an id.
//
// # CNI
//
// Where CNI_COMMAND is in the environment, md-net is a plugin of the Container Network Interface (ADD, DEL, CHECK,
// GC, STATUS and VERSION of the specification 1.1, and of older ones). The configuration of the network, on
// standard input, may have two keys of ours:
//
//   - network is the name of our network, which is made where it is missing; by default the configuration's name.
//   - subnet are its addresses where it has to be made.
//
// Addresses are given by our network, so there is no ipam. Of the capabilities it knows portMappings, ips (one) and mac.
//
// # Examples
//
// A network of one's own, and a container in it that answers on port 8080 of the host:
//
//	md-net create -s 10.10.1.0/24 subnet1
//	md-rootfs mount busybox | md-net attach --network subnet1 -p 8080:80 | md-spawn run -- httpd -f
//
// What goes in and out of a container:
//
//	md-net exec web -- tcpdump -n -i any
//
// A network for a virtual machine that runs in a namespace:
//
//	ip netns add vm
//	md-net attach --netns vm -p 2222:22
package main
