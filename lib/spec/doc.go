// Package spec is the document that goes through the pipe: an OCI runtime configuration, and the contract
// of the tools that pass it on. This comment is the source of md-pipeline(7).
//
// One document describes a container: the OCI runtime configuration (config.json, runtime-spec 1.x). It
// goes through a pipe. Each stage reads it on standard input, makes one part of the container, fills in the
// fields that it owns, and prints it on standard output. The first stage starts a document, the last runs it:
//
//	md-rootfs mount busybox \
//	  | md-cgroup create --memory-limit 64m \
//	  | md-net attach -p 8080:80 \
//	  | md-spawn run
//
// A stage can be left out, run alone, or be replaced by any other program that reads and prints such a
// document: jq in the middle, "runc spec" at the head, "> config.json" and another OCI runtime at the end.
// "mydocker run --print ARGUMENTS" prints the equivalent pipe of a run.
//
// # Contract
//
//  1. Standard output is one whole document or nothing, written last. Messages go to standard error,
//     one line each: "md-net: attach 10.10.1.0/24: no free address".
//  2. Undo travels with the document: each stage adds its own release to hooks.poststop ("md-net
//     detach ID"), newest first, so that any OCI runtime at the end of the pipe also cleans up. A
//     release is idempotent and needs only the id.
//  3. A stage that fails reads its document if it has not yet, undoes its own work, runs the document's
//     hooks, prints nothing and exits non-zero. A stage releases a container only when the next stage has
//     acquired it. After a SIGKILL, the next "mydocker run" or "md-rootfs mount" finds what it left. What
//     a program other than these tools has lost is removed by "mydocker rm ID".
//  4. Empty standard input means that the stage before failed: the stage says so in one line and does
//     nothing.
//  5. A document with another major ociVersion is refused.
//  6. A stage with nothing to do passes the document on.
//  7. Standard input is used for the document. With --spec FILE or --bundle DIR it is free.
//  8. All tools use the same exit codes: 0 success; 1 the operation failed; 2 wrong usage. Those that
//     run a container's program exit with its code, 128+n for signal n, 125 for an error of their
//     own, 126 if the program is not executable, 127 if it is not found.
//  9. A tool writes only its own state files.
//
// # Which stage owns which field
//
//	md-rootfs mount   annotations (id, name, image, driver …), root, hostname, process, mounts,
//	                  linux.devices, linux.sysctl, linux.seccomp, linux.maskedPaths, linux.readonlyPaths,
//	                  linux.uidMappings, linux.gidMappings, the user entry in linux.namespaces
//	md-cgroup create  linux.cgroupsPath, linux.resources, the cgroup entry in linux.namespaces
//	md-net attach     the path of the network entry in linux.namespaces, linux.sysctl (low ports and
//	                  ping for all users), annotations (addresses, ports)
//	md-spawn run      none: standard output belongs to the container
//
// Each but the last also adds to hooks.poststop. Hooks run on the host as root: treat a document from elsewhere like a
// script from elsewhere. Unknown fields pass through unchanged.
package spec
