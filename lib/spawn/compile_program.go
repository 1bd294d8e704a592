package spawn

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/linux"
)

// begin detaches the child from this process: it gets its streams and a new session, and keeps nothing else of ours.
func (p *program) begin(l *plan) {
	l.Doing("set up the streams")
	for fd, from := range p.fds.stdio {
		if from != fd {
			l.Dup(linux.FD(from), fd)
		}
	}
	keep := []int{p.fds.socket}
	for _, fd := range []int{p.fds.reaper, p.fds.pidfd, p.fds.root, p.fds.start} {
		if fd >= 0 {
			keep = append(keep, fd)
		}
	}
	for fd := 3; fd < 3+p.fds.kept; fd++ {
		keep = append(keep, fd)
	}
	for _, fd := range p.fds.users {
		keep = append(keep, fd)
	}
	slices.Sort(keep)
	l.KeepOnly(keep)
	l.Doing("leave the caller's session")
	if p.die {
		l.DieWithParent()
	}
	p.setOOMScore(l)
	p.openProfile(l)
	// From here on, processes of the container may be in our namespaces. They must not read us through /proc.
	l.Undumpable()
	l.NewSession()
	if !p.keyring {
		l.NewKeyring()
	}
}

// joinGroups puts the child into its control group before it uses resources.
func (p *program) joinGroups(l *plan, entrances []string) {
	for _, file := range entrances {
		l.Doing("join " + filepath.Dir(file))
		l.shellWrite(file, "$$")
		l.WriteFile(file, "0")
	}
}

// shellWrite records the equivalent shell command of a write to a file.
func (s *plan) shellWrite(path, value string) {
	if linux.Tracing() {
		s.trace = append(s.trace, "echo "+value+" > "+linux.Quote(path))
	}
}

// openTerminal opens a terminal of the devpts that is mounted in the container.
func (p *program) openTerminal(l *plan) linux.Value {
	size := p.size
	if size.Rows == 0 || size.Cols == 0 {
		size = linux.WindowSize{Rows: 24, Cols: 80} // programs divide by it
	}
	l.Doing("open a terminal")
	uid, _ := p.users.outward(p.process.User.UID, 0)
	return l.OpenTerminal("/dev/ptmx", size, uid, p.fds.spare)
}

// become drops the privileges that the program must not have, and executes it.
func (p *program) become(l *plan) {
	p.setProfile(l)
	p.changeDir(l)
	p.setCredentials(l)
	if p.die { // the change of the user has cleared it
		l.DieWithParent()
	}
	p.execute(l)
}

// setLimits sets the resource limits.
func (p *program) setLimits(l *plan) {
	const hint = "operation not permitted (raising a hard limit needs CAP_SYS_RESOURCE)"
	files := false
	for _, r := range p.process.Rlimits {
		n, ok := linux.RlimitNumber(r.Type)
		if !ok {
			l.Fail(fmt.Errorf("process.rlimits: %.40q: no such limit", r.Type))
		}
		files = files || r.Type == "RLIMIT_NOFILE"
		l.Doing(fmt.Sprintf("set %s to %d:%d", r.Type, r.Soft, r.Hard))
		l.SetRlimit(n, r.Soft, r.Hard).Means(syscall.EPERM, hint)
	}
	if !files {
		p.restoreFiles(l)
	}
}

// setOOMScore sets the score for the OOM killer, by the host's /proc, which the child still sees.
func (p *program) setOOMScore(l *plan) {
	if p.process.OOMScoreAdj != nil {
		score := strconv.Itoa(*p.process.OOMScoreAdj)
		l.Doing("set the OOM score to " + score)
		l.shellWrite("/proc/self/oom_score_adj", score)
		_, written := l.WriteFile("/proc/self/oom_score_adj", score)
		written.Means(syscall.EACCES, "permission denied (lowering it needs CAP_SYS_RESOURCE)")
	}
}

// openProfile opens the file that takes the AppArmor profile, while the child sees the host's /proc. Older kernels have
// one file for all security modules.
func (p *program) openProfile(l *plan) {
	if p.process.ApparmorProfile == "" {
		return
	}
	l.Doing("confine the program")
	opened := l.Open("/proc/self/attr/apparmor/exec", syscall.O_WRONLY).Ignoring(syscall.ENOENT)
	l.profile = opened.Into()
	opened.OrElse(func() { l.Open("/proc/self/attr/exec", syscall.O_WRONLY).IntoSame(l.profile) })
}

// setProfile makes the kernel apply the AppArmor profile at execve(2) (aa_change_onexec(2)).
func (p *program) setProfile(l *plan) {
	profile := p.process.ApparmorProfile
	if profile == "" {
		return
	}
	l.Doing("confine the program by AppArmor profile " + profile)
	l.shell("aa-exec", "-p", profile, "--")
	l.WriteTo(l.profile, "exec "+profile).Means(syscall.ENOENT, "no such profile is loaded")
	l.Close(l.profile)
}

// restoreFiles restores our caller's limit on open files: Go has raised ours.
func (p *program) restoreFiles(l *plan) {
	if n, ok := linux.RlimitNumber("RLIMIT_NOFILE"); ok && p.files[1] > 0 {
		l.Doing("set the limit on open files")
		l.SetRlimit(n, p.files[0], p.files[1])
	}
}

// changeDir changes to the program's working directory, which must be in the root: a path such as /proc/self/fd/N could
// lead to a directory of the host.
func (p *program) changeDir(l *plan) {
	cwd := p.process.Cwd
	if cwd == "" {
		cwd = "/"
	}
	l.Doing("working directory " + cwd)
	opened := l.OpenInRoot(linux.Here(), cwd, linux.OPath|syscall.O_DIRECTORY).
		Means(syscall.ELOOP, "it leads out of the container, or in a circle")
	dir := opened.Into()
	l.Fchdir(dir)
	l.Close(dir)
}

// setCredentials changes to the program's user, groups and capabilities (capabilities(7)). The bounding set comes
// first: dropping from it needs CAP_SETPCAP.
func (p *program) setCredentials(l *plan) {
	proc := p.process
	sets, err := capabilitySets(proc.Capabilities, p.held)
	if err != nil {
		l.Fail(err)
	}
	if proc.Capabilities != nil {
		l.Doing("reduce the bounding set")
		l.SetBounding(sets.bounding, p.held)
	}
	l.traceCredentials(proc)
	u := proc.User
	l.Doing("change the user")
	umask := uint32(0o022)
	if u.Umask != nil {
		umask = *u.Umask
	}
	l.Umask(umask)
	l.SetUser(u.UID, u.GID, u.AdditionalGids)
	if p.filter != nil && !proc.NoNewPrivileges {
		p.filterPrivileged(l, sets)
	}
	if proc.Capabilities != nil {
		l.Doing("set capabilities")
		l.SetCapabilities(sets.effective, sets.permitted, sets.inheritable, sets.ambient)
	}
	if proc.NoNewPrivileges {
		l.Doing("set no_new_privs")
		l.NoNewPrivs()
	}
}

// filterPrivileged installs the seccomp filter as late as CAP_SYS_ADMIN allows: later calls must pass it. The change of
// the user has cleared the effective capabilities.
func (p *program) filterPrivileged(l *plan, sets capSets) {
	if p.process.User.UID != 0 {
		if p.process.Capabilities == nil {
			sets.permitted = p.held
		}
		l.Doing("keep CAP_SYS_ADMIN for the seccomp filter")
		l.SetCapabilities(linux.SysAdmin, sets.permitted|linux.SysAdmin, sets.inheritable, 0)
	}
	p.setFilter(l)
}

func (p *program) setFilter(l *plan) {
	l.Doing("set the seccomp filter")
	l.Seccomp(p.filter.Program, p.filter.Flags).Means(syscall.EACCES, "permission denied (it needs CAP_SYS_ADMIN, or no_new_privs)")
}

// execute finds the program as execvp(3) does, on the PATH that the program gets, and executes it.
func (p *program) execute(l *plan) {
	args := p.process.Args
	if len(args) == 0 || args[0] == "" {
		l.Fail(&Error{Text: "no command: neither the image nor the command line names a program"})
		return
	}
	name := args[0]
	if p.path != "" {
		name = p.path
	}
	l.name, l.lookup = name, l.Len()
	l.Doing("execute " + name)
	env, argv := l.Words(p.process.Env), l.Words(args)
	finish := func(path string) linux.Step {
		l.syncPoint(ready)
		if p.fds.start >= 0 {
			l.AwaitByte(linux.FD(p.fds.start))
		}
		if p.filter != nil && p.process.NoNewPrivileges {
			p.setFilter(l)
			l.Doing("execute " + name)
		}
		if p.fds.reaper >= 0 {
			return l.ExecveFD(linux.FD(p.fds.reaper), l.Words(append([]string{"md-spawn", ReapArg, path}, args...)), env)
		}
		return l.Execve(path, argv, env)
	}
	if strings.Contains(name, "/") {
		l.Access(name)
		if p.fds.start >= 0 { // create reports the error; after start there is no caller
			l.Exists(name + "/.").Ignoring().Then(func() { l.Open(name, syscall.O_WRONLY) }) // EISDIR
		}
		finish(name)
		return
	}
	for _, entry := range p.process.Env {
		dirs, ok := strings.CutPrefix(entry, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(dirs) {
			path := filepath.Join(dir, name)
			l.Access(path).Ignoring().Remember().Then(func() {
				finish(path).Ignoring(syscall.EACCES).Remember() // a directory
			})
		}
	}
}
