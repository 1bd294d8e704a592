package spawn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/linux"
)

// InitArg is the first argument that makes md-spawn the init of a container: it is started in the new
// namespaces, gets its plan on descriptor 3, does it, and becomes the container's program.
const InitArg = "init"

// Init is the program behind [InitArg]. It returns only where it failed, after it told the parent.
func Init() int {
	socket := os.NewFile(planFD, "plan")
	err := perform(socket)
	_ = tell(socket, message{Error: asError(err)}) // without a parent there is nobody to tell
	return 125
}

func perform(socket *os.File) error {
	if err := linux.PrepareThread(); err != nil {
		return err
	}
	// From here on others may be in our namespaces who must not look at us through /proc.
	if err := linux.SetUndumpable(); err != nil {
		return err
	}
	var p plan
	if err := json.NewDecoder(socket).Decode(&p); err != nil {
		return fmt.Errorf("read the plan: %w", err) // the parent died or was stopped
	}
	if p.Trace {
		slog.SetDefault(slog.New(&relay{socket}))
	}
	if p.Die {
		if err := linux.SetParentDeathSignal(syscall.SIGKILL); err != nil {
			return err
		}
	}
	if err := linux.NewSession(); err != nil {
		return err
	}
	if err := linux.NewSessionKeyring(); err != nil {
		return err
	}
	linux.Umask(0o022)
	if err := joinGroup(p.Group); err != nil {
		return err
	}
	var err error
	if p.Build != nil {
		err = p.Build.perform(&p, socket)
	} else {
		err = p.enter(socket)
	}
	if err != nil {
		return err
	}
	return p.execute()
}

// joinGroup puts this thread, and so the program, into the container's control group, before
// anything is done on its account.
func joinGroup(path string) error {
	if path == "" {
		return nil
	}
	group, err := cgroup.Open(path)
	if err != nil {
		return err
	}
	return group.Enter()
}

// enter goes into a running container (exec).
func (p *plan) enter(socket *os.File) error {
	if err := linux.Setns(pidfdFD, p.Enter); err != nil {
		return fmt.Errorf("enter container %s: %w", p.Joined, err)
	}
	if p.Enter&linux.NewNS == 0 {
		return nil
	}
	if p.Process.Terminal {
		if err := p.openConsole(socket, "/dev/ptmx"); err != nil {
			return err
		}
	}
	return nil
}

// openConsole makes a terminal, hands its master end to the parent, and makes the other one the
// standard streams and the controlling terminal.
func (p *plan) openConsole(socket *os.File, ptmx string) error {
	master, slave, _, err := linux.OpenPTY(ptmx)
	if err != nil {
		return err
	}
	defer master.Close()
	defer slave.Close()
	if p.Size.Rows == 0 || p.Size.Cols == 0 {
		p.Size = linux.WindowSize{Rows: 24, Cols: 80} // programs divide by it
	}
	if err := linux.SetWindowSize(slave, p.Size); err != nil {
		return err
	}
	if u := p.Process.User; u.UID != 0 {
		if err := slave.Chown(int(u.UID), -1); err != nil {
			return fmt.Errorf("give the terminal to user %d: %w", u.UID, err)
		}
	}
	if err := linux.SetControllingTerminal(slave); err != nil {
		return err
	}
	for fd := range 3 {
		if err := linux.Dup3(slave, fd); err != nil {
			return err
		}
	}
	data, err := json.Marshal(message{Console: true})
	if err != nil {
		return err
	}
	return linux.SendFile(socket, append(data, '\n'), master)
}

// execute gives up what the program must not have and becomes the program.
func (p *plan) execute() error {
	proc := p.Process
	if err := setLimits(proc); err != nil {
		return err
	}
	if err := changeDir(proc.Cwd); err != nil {
		return err
	}
	if err := setCredentials(proc); err != nil {
		return err
	}
	if p.Die { // the change of the user took it away
		if err := linux.SetParentDeathSignal(syscall.SIGKILL); err != nil {
			return err
		}
	}
	path, err := lookPath(proc)
	if err != nil {
		return err
	}
	if err := linux.CloseOnExecFrom(planFD); err != nil {
		return err
	}
	linux.ResetSignals()
	argv := proc.Args
	if p.Reap {
		// Out of the root this path means us, whose file is not in there.
		argv = append([]string{"md-spawn", ReapArg, path}, proc.Args...)
		path = "/proc/self/exe"
	}
	err = syscall.Exec(path, argv, proc.Env)
	return execError(proc.Args[0], err)
}

// execError is an error about the program itself.
func execError(name string, err error) error {
	e := &Error{Text: fmt.Sprintf("execute %s: %v", name, err), Exec: true}
	errors.As(err, &e.Errno)
	if e.Errno == syscall.ENOENT && strings.Contains(name, "/") {
		if _, statErr := os.Stat(name); statErr == nil {
			e.Text = fmt.Sprintf("execute %s: its interpreter is not there: %v", name, err)
		}
	}
	return e
}

// lookPath finds the program as execvp(3) does, on the PATH that it will have.
func lookPath(proc *specs.Process) (string, error) {
	if len(proc.Args) == 0 || proc.Args[0] == "" {
		return "", &Error{Text: "no command: neither the image nor the command line names a program", Exec: false}
	}
	name := proc.Args[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	failure := error(syscall.ENOENT)
	for _, entry := range proc.Env {
		dirs, ok := strings.CutPrefix(entry, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(dirs) {
			path := filepath.Join(dir, name)
			err := executable(path)
			if err == nil {
				return path, nil
			}
			if !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ENOTDIR) {
				failure = err
			}
		}
	}
	return "", &Error{Text: fmt.Sprintf("execute %s: %v on PATH", name, errnoText(failure)), Errno: errnoOf(failure), Exec: true}
}

func errnoText(err error) string {
	if errors.Is(err, syscall.ENOENT) {
		return "not found"
	}
	return errnoOf(err).Error()
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	errors.As(err, &errno)
	return errno
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return syscall.EACCES
	}
	return nil
}

// changeDir goes to the program's working directory, which must be inside the root: a path such as
// /proc/self/fd/N could mean a directory of the host.
func changeDir(cwd string) error {
	if cwd == "" {
		cwd = "/"
	}
	if err := os.Chdir(cwd); err != nil {
		return fmt.Errorf("working directory %s: %w", cwd, errnoOf(err))
	}
	// The kernel's own answer: Go's Getwd believes the variable PWD.
	real, err := syscallGetwd()
	if err != nil || !strings.HasPrefix(real, "/") {
		return fmt.Errorf("working directory %s: it is outside of the container", cwd)
	}
	return nil
}

func syscallGetwd() (string, error) {
	buffer := make([]byte, 4096)
	n, err := syscall.Getcwd(buffer)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(buffer[:n]), "\x00"), nil
}

// relay sends debug messages to the parent: our own standard error is the container's.
type relay struct{ socket *os.File }

func (r *relay) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelDebug }

func (r *relay) Handle(_ context.Context, record slog.Record) error {
	return tell(r.socket, message{Trace: record.Message})
}

func (r *relay) WithAttrs([]slog.Attr) slog.Handler { return r }

func (r *relay) WithGroup(string) slog.Handler { return r }
