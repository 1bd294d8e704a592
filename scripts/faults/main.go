// faults runs a command and does harm to it at one chosen moment: a tool of the tests.
//
//	faults count COMMAND...          how many calls there are that change something
//	faults kill N COMMAND...         SIGKILL for the process that is about to make the N-th of them
//	faults killall N COMMAND...      … for all processes of ours at that moment
//	faults ENOSPC N COMMAND...       the N-th call that changes a file fails so (also EIO, EROFS, EDQUOT)
//
// Calls are counted over all processes and threads of the command that are programs of ours or the
// firewall's, those included that stay behind a detached container. What the container's own program does is
// not counted, nor is a shell around the command. It ends with the last of ours, or when those that the command
// left behind have done nothing for three seconds; the exit code is the command's, 128+n for signal n. On
// descriptor 9, if it is open, it says what it met: "42 renameat md-net", or the count.
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
		return nil, nil, fmt.Errorf("want count COMMAND..., or kill, killall or the name of an error, and N COMMAND...")
	}
	f := &fault{all: args[0] == "killall", errno: errnos[args[0]]}
	if args[0] != "kill" && args[0] != "killall" && f.errno == 0 {
		return nil, nil, fmt.Errorf("%s: want kill, killall, ENOSPC, EIO, EROFS or EDQUOT", args[0])
	}
	var err error
	if f.at, err = strconv.Atoi(args[1]); err != nil || f.at < 1 {
		return nil, nil, fmt.Errorf("%s: want the number of a call, from 1 on", args[1])
	}
	return f, args[2:], nil
}
