//go:build amd64

// probe says from inside of a container what it is given: the tests put it into one of ours and one of docker's, or under
// our filter and that of another runtime, and compare.
//
//	probe posture   prints what surrounds a program, one fact a line
//	probe calls     makes every system call in every way, and prints what came of it
//	probe wait      waits until it is killed
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
	err := errors.New("want posture, calls or wait")
	switch word {
	case "posture":
		err = posture(out)
	case "calls":
		err = calls(out)
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
