//go:build amd64

// Command probe reports what a container allows. Tests run it in a mydocker container and in one of docker, or under the
// seccomp filters of md-spawn and of another runtime, and compare the output.
//
//	probe posture   prints the environment of a program, one fact a line
//	probe calls     makes every system call through every entry, and prints the results
//	probe wait      waits until it is killed
//	probe overwrite tries to write to the executables of other processes
//	probe tiocsti   writes into the input of its terminal
//	probe words     reads command lines of other processes until one contains PASSWORD=
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"time"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	word := ""
	if len(os.Args) == 2 {
		word = os.Args[1]
	}
	err := errors.New("usage: probe posture|calls|wait|overwrite|tiocsti|words")
	switch word {
	case "posture":
		err = posture(out)
	case "calls":
		err = calls(out)
	case "overwrite":
		err = overwrite(out)
	case "tiocsti":
		err = tiocsti(out)
	case "words":
		err = words(out)
	case "wait":
		time.Sleep(time.Hour)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}
