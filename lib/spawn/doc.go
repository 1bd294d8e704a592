// Package spawn turns an OCI document into a running process, and knows no state directory.
//
// A start has two sides. The parent compiles the document into a plan: the list of system calls that the child performs
// after fork, the last of which is execve(2) ([blueprint.compile]). The child needs no Go runtime for it, so it can be
// forked into new namespaces at little cost. At sync points it waits for the parent, which runs hooks there or records the
// child.
//
//	Launch     one start: of a container's first program, or of one beside it
//	Child      the started program, with our ends of its streams
//	Container  a handle on a container: signal, wait, freeze, thaw, exec
//	Session    the caller's terminal and signals, for as long as they are the program's
//	Reap       the small init that stays in a container as PID 1 (--init)
package spawn
