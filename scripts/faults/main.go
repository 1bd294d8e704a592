// Command faults runs a command and injects a fault at one chosen system call.
//
//	faults count COMMAND...          print the number of calls that change something
//	faults kill N COMMAND...         SIGKILL the process before its call, if that is the N-th
//	faults killall N COMMAND...      SIGKILL all of mydocker's processes at that call
//	faults ENOSPC N COMMAND...       fail the N-th call that changes a file (also EIO, EROFS, EDQUOT)
//
// Calls are counted over all processes and threads that run mydocker's tools or iptables, including monitors of detached
// containers. Calls of the container's program and of a shell around the command are not counted. faults ends with
// the last of these processes, or when they have made no call for three seconds after the command's end. The exit code
// is the command's, 128+n for signal n. If descriptor 9 is open, the fault is written to it ("42 renameat md-net"), or the
// count.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

const reportFD = 9

func main() {
	f, command, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(2)
	}
	syscall.CloseOnExec(reportFD)
	f.report = os.NewFile(reportFD, "report")
	code, err := f.run(command)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(2)
	}
	if f.at == 0 {
		fmt.Fprintln(f.report, f.count)
	}
	os.Exit(code)
}

// errnos are the failures that can be injected, by name.
var errnos = map[string]syscall.Errno{
	"ENOSPC": syscall.ENOSPC, "EIO": syscall.EIO, "EROFS": syscall.EROFS, "EDQUOT": syscall.EDQUOT,
}

func parse(args []string) (*fault, []string, error) {
	if len(args) >= 2 && args[0] == "count" {
		return &fault{}, args[1:], nil
	}
	if len(args) < 3 {
		return nil, nil, fmt.Errorf("usage: faults count COMMAND..., or faults kill|killall|ERROR N COMMAND...")
	}
	f := &fault{all: args[0] == "killall", errno: errnos[args[0]]}
	if args[0] != "kill" && args[0] != "killall" && f.errno == 0 {
		return nil, nil, fmt.Errorf("%s: want kill, killall, ENOSPC, EIO, EROFS or EDQUOT", args[0])
	}
	var err error
	if f.at, err = strconv.Atoi(args[1]); err != nil || f.at < 1 {
		return nil, nil, fmt.Errorf("%s: want the number of a call, at least 1", args[1])
	}
	return f, args[2:], nil
}
