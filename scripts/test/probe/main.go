//go:build amd64

// probe says from inside of a container what it is given: the tests put it into one of ours and one of docker's, or under
// our filter and that of another runtime, and compare.
//
//	probe posture   prints what surrounds a program, one fact a line
//	probe calls     makes every system call in every way, and prints what came of it
//	probe wait      waits until it is killed
//	probe overwrite tries to write to the programs of others
//	probe tiocsti   types into its terminal
//	probe words     reads the command lines of others until one has PASSWORD= in it
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
	err := errors.New("want one of the words of the package comment")
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
