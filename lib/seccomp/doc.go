// Package seccomp compiles the linux.seccomp section of an OCI document into the program that the kernel runs before
// each system call (seccomp(2), runtime-spec config-linux.md "Seccomp"). It also has docker's default section.
//
// The numbers of calls are in calls.go and the default is in profile.go. generate.go makes both, from golang.org/x/sys
// and github.com/moby/profiles/seccomp; neither is linked.
//
// Where the specification leaves a choice:
//
//   - A rule with the default action is ignored. A rule without arguments takes precedence over those with arguments;
//     of several, the first wins. Rules with arguments are tried in the document's order.
//   - All conditions of a rule must hold, unless two are about one argument: then each is a rule of its own, as in runc
//     and crun.
//   - If the default refuses, a number that no call has, or one above all that the document names, returns ENOSYS:
//     programs try new calls, and fall back only on that error. (If the default kills or traps, numbers below the highest
//     one do so too.)
//   - Each rule gets a companion for i386's socketcall and ipc, which would be a way around it. If the rule tests
//     arguments, which the filter cannot read behind a pointer, it gets a companion only if it refuses.
//   - Calls of an architecture that is neither listed nor the machine's own kill the process.
package seccomp

//go:generate go run generate.go
