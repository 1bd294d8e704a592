package spawn

import "os"

// Stdio says what a program without a terminal gets as its standard streams.
type Stdio int

const (
	NullDevice  Stdio = iota // /dev/null for all three
	OutputPipes              // pipes for its output and errors, /dev/null for its input
	AllPipes                 // pipes for all three
	Inherited                // our own streams
	hookPipes                // pipes for its input and errors, /dev/null for its output
)

// Pipes returns the streams of a program whose input is ours where it is interactive, and empty where not.
func Pipes(interactive bool) Stdio {
	if interactive {
		return AllPipes
	}
	return OutputPipes
}

// open makes the pipes. It returns the program's ends (nil: /dev/null), and a child that has ours.
func (s Stdio) open() (theirs [3]*os.File, c *Child, err error) {
	c = newChild()
	fail := func(err error) ([3]*os.File, *Child, error) {
		closeAll(theirs[:])
		c.closeStreams()
		return [3]*os.File{}, nil, err
	}
	if s == AllPipes || s == hookPipes {
		if theirs[0], c.input, err = os.Pipe(); err != nil {
			return fail(err)
		}
	}
	first := map[Stdio]int{OutputPipes: 1, AllPipes: 1, hookPipes: 2, NullDevice: 3, Inherited: 3}[s]
	for i := first; i < len(theirs); i++ {
		r, w, err := os.Pipe()
		if err != nil {
			return fail(err)
		}
		theirs[i] = w
		c.outputs = append(c.outputs, r)
	}
	return theirs, c, nil
}

// closeAll closes files, those that are nil or closed left out.
func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
