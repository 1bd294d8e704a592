// md-net makes networks and connects containers to them.
//
// create makes a network; without -s it gets a free /24, and with --ipv6 a private /64. Its bridge comes with the
// first container. list, inspect and port only read. rm removes networks that no container uses, with their
// bridges and rules; prune removes all of these. reload puts back all that another program changed: rules, bridges,
// their addresses and links, and the host's sysctls; so does the next container that starts. Where the host changed from
// one variant of iptables to the other, reload takes the rules along.
//
// attach is a stage of the pipe: it claims an address in each network (mydocker0 where none is named),
// makes the container's network namespace and a pair of links for each network, publishes the ports, and
// hands the document on with the path of the namespace in linux.namespaces and its own release in
// hooks.poststop. --network is also none (a namespace with lo alone), host, container:CONTAINER or ns:PATH.
// A network's name may be followed by wishes: NAME,ip=ADDRESS,alias=NAME,mac=ADDRESS, where ip is allowed once for
// each family, and alias often.
//
// In each of its networks a container is found by its name, its id and its aliases: they are kept in the
// /etc/hosts of the containers. Published ports and the default route go by the first network that is not
// internal. md-spawn, which stays with the container, keeps the ports bound, so that no other program can take them;
// where no process of ours stays (--pid, --netns, CNI, another runtime at the end of the pipe) they are only tried
// when they are published.
//
// With --pid or --netns attach needs no document: it connects the network namespace of a process, or one with
// a path or a name (as ip-netns(8) has them), and prints the id that it is called by from then on. When the
// namespace is gone, so is what it was given; detach takes it back before, by that id or by --pid or --netns.
//
// detach ID is the release of a document's attach. It is idempotent. A container that is kept when its process ends
// keeps its addresses, too; any other one gives them back.
//
// connect and disconnect work on running and on stopped containers. disconnect -f takes back what a container that
// is gone still holds.
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
// Addresses are given by our network, so there is no ipam. Of the capabilities it knows portMappings, ips (one of each
// family) and mac.
//
// # Firewall
//
// The rules stand in chains MYDOCKER-..., in the variant of iptables (nft or legacy) that has the host's own ones.
// The chain MYDOCKER-USER of the table filter is for the rules of the host's administrator: it is looked at before ours,
// for all that the host forwards, and is neither filled nor emptied by us. What must not pass between networks is dropped
// in the table mangle already, before any rule of others that accepts; an exception is accepted in the chain
// MYDOCKER-USER of both tables.
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
