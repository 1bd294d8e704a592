// Package spec is the document that flows down the pipe: an OCI runtime configuration, and the contract
// of the tools that hand it on. md-pipeline(7) is made of this comment.
//
// One document describes a container: the OCI runtime configuration (config.json, runtime-spec 1.x). It
// flows down a pipe. Each stage reads it on standard input, does its one thing to the kernel, fills in
// the fields that it owns, and prints it on standard output. The first stage starts one, the last runs it:
//
//	md-rootfs mount busybox \
//	  | md-cgroup create --memory-limit 64m \
//	  | md-net attach -p 8080:80 \
//	  | md-spawn run
//
// A stage can be left out, run alone, or replaced by any other program that reads and prints such a
// document: jq in the middle, "runc spec" at the head, "> config.json" and another OCI runtime at the end.
// "mydocker run --print ARGUMENTS" prints the pipe that a run stands for.
//
// # Contract
//
//  1. Standard output is one whole document or nothing at all, written last. Words for people go to
//     standard error, one line each: "md-net: attach 10.10.1.0/24: no free address".
//  2. Undo travels with the document: each stage adds its own release to hooks.poststop ("md-net
//     detach ID"), newest first, so that any OCI runtime at the end of the pipe also cleans up. A
//     release is idempotent and needs only the id.
//  3. A stage that fails, for whatever reason, reads the document that it was handed if it has not
//     yet, undoes its own work, runs the document's hooks, prints nothing and exits non-zero.
//     It lets go of a container when the next stage has it in its hands, not before: what a SIGKILL
//     leaves is found by the next "mydocker run" or "md-rootfs mount". Only what a program that is
//     none of ours had taken, and lost, has to be removed by hand: "mydocker rm ID".
//  4. Empty standard input means that the stage before failed: one line says so, nothing is touched.
//  5. A document with another major ociVersion is refused.
//  6. A stage with nothing to do passes the document on.
//  7. Standard input is spent on the document. --spec FILE or --bundle DIR frees it.
//  8. Exit codes are one table for the family: 0; 1 the operation failed; 2 wrong usage; and where a
//     container's program runs: its own code, 128+n for signal n, 125 our own error, 126 found but
//     not executable, 127 not found.
//  9. A tool writes only its own state files.
//
// # Who owns which field
//
//	md-rootfs mount   annotations (id, name, image, driver …), root, hostname, process, mounts,
//	                  linux.devices, linux.sysctl, linux.seccomp, linux.maskedPaths, linux.readonlyPaths,
//	                  linux.uidMappings, linux.gidMappings, the user entry in linux.namespaces
//	md-cgroup create  linux.cgroupsPath, linux.resources, the cgroup entry in linux.namespaces
//	md-net attach     the path of the network entry in linux.namespaces, linux.sysctl (who may bind low
//	                  ports and ping), annotations (addresses, ports)
//	md-spawn run      nothing: stdout belongs to the container
//
// Each but the last also adds to hooks.poststop. Hooks are code that runs on the host as root: a stranger's document
// is to be treated as a stranger's script. Fields that we do not know pass through untouched.
package spec
