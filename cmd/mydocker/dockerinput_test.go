package main

import (
	"slices"
	"strings"
	"testing"
)

func TestDockersInteractive(t *testing.T) {
	takesValue := func(option string) bool {
		return slices.Contains([]string{"-i", "-p", "-e", "-v", "-m", "--name", "--env", "--hostname"}, option)
	}
	for line, want := range map[string]string{
		"-it --rm alpine sh":             "--interactive -t --rm alpine sh",
		"-i -t alpine sh":                "--interactive -t alpine sh",
		"-i --rm alpine":                 "--interactive --rm alpine",
		"-i alpine sh":                   "-i alpine sh", // the README's
		"-t -i alpine":                   "-t -i alpine",
		"-ti alpine sh":                  "-ti alpine sh", // both readings are the same
		"-ti --rm alpine":                "--interactive -t --rm alpine",
		"-dit alpine":                    "--interactive -dt alpine",
		"-itd alpine":                    "--interactive -td alpine",
		"-itp 80:80 alpine":              "--interactive -tp 80:80 alpine",
		"-itp80:80 alpine":               "--interactive -tp80:80 alpine",
		"-ei=1 alpine":                   "-ei=1 alpine",
		"-e -i -it alpine":               "-e -i --interactive -t alpine",
		"--name -it -it alpine":          "--name -it --interactive -t alpine",
		"--name=x -it alpine":            "--name=x --interactive -t alpine",
		"alpine -it":                     "alpine -it", // the command's own
		"-it alpine grep -i x":           "--interactive -t alpine grep -i x",
		"-i alpine -t":                   "-i alpine -t",
		"-i alpine -e A=1 grep -i -v x":  "-i alpine -e A=1 grep -i -v x",
		"-t -- alpine -i":                "-t -- alpine -i",
		"--rm -h web alpine hostname":    "--rm --hostname web alpine hostname",
		"-h":                             "-h",
		"-h --rm alpine":                 "-h --rm alpine",
		"-i alpine -h web df -h /":       "-i alpine --hostname web df -h /",
		"-i":                             "--interactive",
		"-":                              "-",
		"-p":                             "-p",
		"-itp":                           "--interactive -tp",
		"-it=true alpine":                "--interactive -t=true alpine",
		"":                               "",
		"-i mysql -d -p 1:2 -e A=b --rm": "-i mysql -d -p 1:2 -e A=b --rm",
	} {
		got := (&imageAndCommand{}).Rewrite(strings.Fields(line), takesValue)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", line, strings.Join(got, " "), want)
		}
	}
}
