// md-cgroup limits what containers and programs use: memory, cpus, processes, devices.
//
// create is a stage of the pipe: it makes the cgroup /mydocker/ID in every hierarchy, writes the
// limits to it, and passes the document on with linux.cgroupsPath and linux.resources filled in and its
// release in hooks.poststop. Limits in the document stay, unless an option replaces
// them. It adds no process to the cgroup; md-spawn does.
//
// create with an ID makes a cgroup for programs outside of containers, prints the id and reads nothing: exec
// adds programs to it one by one, and delete removes it. An id is 12 hexadecimal digits.
//
// run limits a program outside of containers. Its cgroup lives as long as the program, and processes that
// it leaves are killed. exec runs a program in an existing cgroup, which it does not keep
// alive. Neither limits devices further than the cgroup does.
//
// set changes the limits of an existing cgroup, but not the document: a restarted container has its
// old limits. show prints what each cgroup uses as a JSON object (times in nanoseconds, sizes in bytes). delete
// waits up to 2 s for processes that are exiting, and kills none.
//
// The limits have docker's names too: --memory or -m, --memory-reservation, --memory-swap, --cpu-period,
// --cpu-quota, --pids-limit, --kernel-memory. A limit that the kernel does not support is an error. Limits that
// are not given are not written.
//
// An ID is the id of a container, its name, or the beginning of its id.
//
// # Examples
//
// Build with at most four cpus and 2 GiB; when memory runs out, the kernel kills the largest process:
//
//	md-cgroup run --cpu-cfs-quota 400000 --cpu-cfs-period 100000 --memory-limit 2g -- make -j8
//
// Show what a container has used, and raise its memory limit while it runs:
//
//	md-cgroup show web | jq .memory
//	md-cgroup set --memory-limit 256m web
package main
