// md-spawn runs the program of an OCI document in namespaces of its own: the last stage of the pipe.
//
// run reads the document, makes the namespaces that it asks for, joins those that it names, and becomes
// the one who waits: standard output is the program's, and so is the exit code. With --detach a small
// process stays behind for that, which also keeps the log. When the program has ended, hooks.poststop
// undo what the other stages did; with --keep only "delete" does.
//
// exec runs one more program beside it. kill, wait, state, logs and delete do what their names say. A
// CONTAINER or ID is an id, a name, or the beginning of an id.
//
// # Documents of others
//
// A document is a program, not a configuration file. Its hooks are executed on the host, as root and outside of the
// container (createRuntime, poststart and poststop; createContainer in its namespaces), before anything of the container
// runs; and its mounts, devices, namespaces and capabilities can show the container whatever there is. So run a stranger's
// config.json as you would run a stranger's script: read it first, and take the hooks out by
// jq 'del(.hooks)'.
//
//	jq '{hooks, mounts, linux, capabilities: .process.capabilities}' config.json
//
// Files that are read whole, such as config.json and those of --spec and --process, are regular files or pipes of up to
// 16 MiB.
//
// # Examples
//
// Any document will do, that of another program, too:
//
//	md-spawn run --bundle DIR
//
// The last stage of a pipe, with a terminal, and another program than the image's:
//
//	md-rootfs mount -t busybox | md-net attach | md-spawn run -t -- sh
package main
