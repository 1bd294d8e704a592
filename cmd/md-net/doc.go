// md-net makes networks and connects containers to them.
//
// create makes a network. Without -s it gets a free /24; --ipv6 adds a private /64. The first container makes its
// bridge. list, inspect and port only read. rm removes networks that no container uses, with their bridges and rules;
// prune removes all of these. reload restores what other programs have changed: rules, bridges, their addresses and
// links, and sysctls of the host. The next container that starts does the same. If the host has changed from one variant
// of iptables to the other, reload moves the rules.
//
// attach is a stage of the pipe. It leases an address in each network (default: mydocker0), makes the container's
// network namespace and a veth pair for each network, publishes the ports, and passes the document on with the path of
// the namespace in linux.namespaces and a detach hook in hooks.poststop. --network is also none (a namespace with only
// lo), host, container:CONTAINER or ns:PATH. The name of a network can be followed by endpoint options:
// NAME,ip=ADDRESS,alias=NAME,mac=ADDRESS; ip can be given once for each family, alias repeatedly.
//
// In each of its networks a container is found by its name, its id and its aliases, which are kept in the hosts files of
// the containers. Published ports and the default route use the first network that is not internal. md-spawn, as the
// container's monitor, keeps the ports bound, so that no other program can take them. Without a monitor (--pid, --netns,
// CNI, another runtime at the end of the pipe) the ports are only checked when they are published.
//
// With --pid or --netns attach needs no document. It connects the network namespace of a process, or one at a path or
// with a name (ip-netns(8)), and prints the id of the attachment. The attachment ends with the namespace, or with detach
// and that id, --pid or --netns.
//
// detach ID undoes the attach of a document. It is idempotent. A container that is kept when its process ends keeps its
// addresses; others free them.
//
// connect and disconnect work on running and stopped containers. disconnect -f frees what a container that is gone still
// has.
//
// exec runs a program of the host, not of the image, in the network namespace of a container or a process, or in any
// other.
//
// A CONTAINER is an id, a name, or the beginning of an id.
//
// # CNI
//
// If CNI_COMMAND is set, md-net is a plugin of the Container Network Interface (ADD, DEL, CHECK, GC, STATUS and VERSION of
// the specification 1.1 and older ones). The network configuration on standard input can have two keys of our own:
//
//   - network is the name of the network, which is made if it is missing (default: the name of the configuration).
//   - subnet is its subnet if it has to be made.
//
// The network leases the addresses itself, so ipam is refused. The supported capabilities are portMappings, ips (one of
// each family) and mac.
//
// # Firewall
//
// The rules are in chains MYDOCKER-..., in the variant of iptables (nft or legacy) that the host uses. The chain
// MYDOCKER-USER of the filter table is for rules of the host's administrator. It comes before our rules, for all forwarded
// packets, and md-net never changes it. Packets that must not pass between networks are dropped in the mangle table,
// before any accepting rule of another program. An exception has to be accepted in MYDOCKER-USER of both tables.
//
// # Examples
//
// A network, and a container in it that answers on port 8080 of the host:
//
//	md-net create -s 10.10.1.0/24 subnet1
//	md-rootfs mount busybox | md-net attach --network subnet1 -p 8080:80 | md-spawn run -- httpd -f
//
// The packets of a container:
//
//	md-net exec web -- tcpdump -n -i any
//
// A network for a virtual machine that runs in a namespace:
//
//	ip netns add vm
//	md-net attach --netns vm -p 2222:22
package main
