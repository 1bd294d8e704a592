// md-spawn runs the program of an OCI document in namespaces of its own: the last stage of the pipe.
//
// run reads the document, makes and joins the namespaces that it asks for, starts the program, and waits for it: standard
// output and the exit code are the program's. With --detach, a small process stays with the container and writes its log.
// When the program has ended, hooks.poststop undo what the other stages did; with --keep, "delete" does.
//
// exec runs another program beside it. kill, wait, state, logs and delete do what their names say. A CONTAINER or ID is an
// id, a name, or the beginning of an id.
//
// # Untrusted documents
//
// A document is a program, not a configuration file. Its hooks run on the host as root, before the container's program:
// createRuntime, poststart and poststop outside of the container, createContainer in its namespaces. Its mounts, devices,
// namespaces and capabilities can give the container access to everything. So treat a config.json that you did not write as
// a script that you did not write: read it first, and remove the hooks with jq 'del(.hooks)'.
//
//	jq '{hooks, mounts, linux, capabilities: .process.capabilities}' config.json
//
// Files that are read as a whole, such as config.json and those of --spec and --process, must be regular files or pipes of
// up to 16 MiB.
//
// # Examples
//
// Run any bundle, also one of another tool:
//
//	md-spawn run --bundle DIR
//
// Run another program than the image's, on a terminal, at the end of a pipe:
//
//	md-rootfs mount -t busybox | md-net attach | md-spawn run -t -- sh
package main
