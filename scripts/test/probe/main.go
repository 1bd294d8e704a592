//go:build amd64

// probe says from inside of a container what it is given: the tests put it into one of ours and one of docker's, or under
// our filter and that of another runtime, and compare.
//
//	probe posture   prints what surrounds a program, one fact a line
//	probe calls     makes every system call in every way, and prints what came of it
package main

import (
	"bufio"
	"fmt"
	"os"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	err := fmt.Errorf("want posture or calls")
	if len(os.Args) == 2 && os.Args[1] == "calls" {
		err = calls(out)
	} else if len(os.Args) == 2 && os.Args[1] == "posture" {
		err = posture(out)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}
