// Package seccomp makes of the linux.seccomp section of an OCI document the program that the kernel runs before
// each system call (seccomp(2), runtime-spec config-linux.md "Seccomp"), and knows docker's default section.
//
// The numbers of calls are those of the table in calls.go, the default is in profile.go; both are made by
// generate.go, of golang.org/x/sys and of github.com/moby/profiles/seccomp, neither of which is linked.
//
// What the specification leaves open is decided so:
//
//   - A rule whose action is the default one says nothing. A rule without arguments decides over those with; of several
//     the first does. Rules with arguments are tried in the document's order.
//   - The conditions of a rule must all hold, unless two are on one argument: then each stands for itself, which
//     is how runc and crun read them.
//   - A number that no call has, or one above all that the document names, is ENOSYS where the default refuses:
//     programs try new calls and fall back on that error only. (A default that kills or traps does so below the
//     highest number.)
//   - i386's socketcall and ipc get a companion of each rule for what they stand for, so that they are no way around
//     it. Where such a rule looks at arguments, which the filter cannot see behind a pointer, the
//     companion is made only if it refuses.
//   - Calls of another architecture than the listed ones and the machine's own kill the process.
package seccomp

//go:generate go run generate.go
