// md-cgroup limits what containers and programs use: memory, cpus, processes, devices.
//
// create is a stage of the pipe: it makes the control group /mydocker/ID in every hierarchy, writes the
// limits to it, and hands the document on with linux.cgroupsPath and linux.resources filled in and its
// own release in hooks.poststop. Limits that the document has already stay, where no option replaces
// them. It puts no process into the group: md-spawn does.
//
// create with an ID makes a group for programs that are none of a container, prints the id and reads nothing: exec
// puts programs into it one by one, and delete removes it. The id is one of 12 hexadecimal digits.
//
// run limits a program that has nothing to do with containers; the group lives as long as it, and what
// it leaves running is killed. exec runs one more program in a group that is there, as long as
// somebody else keeps it. Neither limits devices further than the group does.
//
// set changes the limits of a group that is there, but not the document: a restarted container has its
// old ones. show prints what each group uses as a JSON object (times in nanoseconds, sizes in bytes). delete
// waits for processes that are just ending, up to 2 s, and kills none.
//
// The limits have docker's names as well: --memory or -m, --memory-reservation, --memory-swap, --cpu-period,
// --cpu-quota, --pids-limit, --kernel-memory. What this kernel cannot do is an error; what is not given is not
// written.
//
// An ID is that of a container, its name, or the beginning of its id.
//
// # Examples
//
// Build with at most two cpus and 2 GiB; more is the end of the greediest process:
//
//	md-cgroup run --cpu-cfs-quota 400000 --memory-limit 2g -- make -j8
//
// What a container has used, and more memory for it while it runs:
//
//	md-cgroup show web | jq .memory
//	md-cgroup set --memory-limit 256m web
package main
