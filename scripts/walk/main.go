// Command walk follows a document through the code and counts how often it changes files:
//
//	go run ./scripts/walk [-v] PACKAGE FUNCTION [TYPE...]
//
// It runs at the top of the checkout. It begins in a function, such as ./lib/network Manager.Attach, and follows, in the
// order of the source, each call of a function of this module that takes or returns a value of one of the types (by
// default the document and the records that are made of it). It does not follow methods of these types. The body of a
// function is followed at its first call only. The output is a line with
//
//	rooms    files entered
//	climbs   calls of a function in a package on a higher floor (see lib/arrows_test.go, which forbids them)
//	returns  entries into a file that the walk had left, by a call or at the end of one
//
// and with -v the route before it. A function literal belongs to the function that it is written in. Calls of function
// variables and of interface methods are not followed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const module = "github.com/weikeit/mydocker/"

// defaultTypes are followed if the command line names none.
var defaultTypes = []string{"spec.Spec", "specs.Spec", "state.Net", "state.Endpoint"}

var errUsage = errors.New("usage: walk [-v] PACKAGE FUNCTION [TYPE...]")

func main() {
	err := run(os.Args[1:], os.Stdout)
	if errors.Is(err, errUsage) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "walk:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("walk", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	verbose := flags.Bool("v", false, "print the route")
	if err := flags.Parse(args); err != nil || flags.NArg() < 2 {
		return errUsage
	}
	c, err := load()
	if err != nil {
		return err
	}
	w := &walker{code: c, followed: flags.Args()[2:], seen: make(map[string]bool), expanded: make(map[string]bool)}
	if len(w.followed) == 0 {
		w.followed = defaultTypes
	}
	if err := w.walk(flags.Arg(0), flags.Arg(1)); err != nil {
		return err
	}
	if *verbose {
		fmt.Fprintln(out, strings.Join(w.route, "\n"))
	}
	_, err = fmt.Fprintf(out, "%d rooms, %d climbs, %d returns\n", len(w.seen), w.climbs, w.returns)
	return err
}

// walker is the state of a walk.
type walker struct {
	*code
	followed []string // types, as package name and type name

	here     string // present file
	depth    int    // of calls
	seen     map[string]bool
	expanded map[string]bool
	climbs   int
	returns  int
	route    []string
}

// walk follows the function name of package pkg.
func (w *walker) walk(pkg, name string) error {
	id := module + filepath.ToSlash(filepath.Clean(pkg)) + "." + name
	if w.functions[id] == nil {
		return fmt.Errorf("find function %s in %s: no such function", name, pkg)
	}
	w.enter(w.functions[id].file, id)
	w.expand(id)
	return nil
}

// enter moves the walk to a file. why is the function there.
func (w *walker) enter(file, why string) {
	if file == w.here {
		return
	}
	if w.seen[file] {
		w.returns++
	}
	w.seen[file], w.here = true, file
	w.route = append(w.route, strings.Repeat(" ", w.depth)+file+"  "+strings.TrimPrefix(why, module))
}

// expand follows the calls in the body of a function.
func (w *walker) expand(id string) {
	if w.expanded[id] {
		return
	}
	w.expanded[id] = true
	w.depth++
	w.calls(w.functions[id].body, id)
	w.depth--
}

// calls follows the calls in a part of function id. Arguments come before the call, as they are evaluated.
func (w *walker) calls(n ast.Node, id string) {
	caller := w.functions[id]
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		w.calls(call.Fun, id)
		for _, arg := range call.Args {
			w.calls(arg, id)
		}
		target := callee(call.Fun, caller.info)
		if target == nil || !w.follows(call, target, caller.info) {
			return false
		}
		next := nameOf(target)
		f := w.functions[next]
		if f == nil {
			return false
		}
		if w.floor(f.file) < w.floor(caller.file) {
			w.climbs++
		}
		w.enter(f.file, next)
		w.expand(next)
		w.enter(caller.file, id)
		return false
	})
}

// callee returns the function that an expression names, nil for any other expression.
func callee(fun ast.Expr, info *types.Info) *types.Func {
	switch f := ast.Unparen(fun).(type) {
	case *ast.Ident:
		fn, _ := info.Uses[f].(*types.Func)
		return fn
	case *ast.SelectorExpr:
		fn, _ := info.Uses[f.Sel].(*types.Func)
		return fn
	case *ast.IndexExpr: // a type argument
		return callee(f.X, info)
	case *ast.IndexListExpr:
		return callee(f.X, info)
	}
	return nil
}

// follows reports whether a call takes or returns a value of a followed type.
func (w *walker) follows(call *ast.CallExpr, fn *types.Func, info *types.Info) bool {
	signature := fn.Type().(*types.Signature)
	if recv := signature.Recv(); recv != nil && w.isFollowed(recv.Type()) {
		return false
	}
	for _, arg := range call.Args {
		if w.isFollowed(info.Types[arg].Type) {
			return true
		}
	}
	return w.hasFollowed(signature.Results())
}

func (w *walker) hasFollowed(list *types.Tuple) bool {
	for v := range list.Variables() {
		if w.isFollowed(v.Type()) {
			return true
		}
	}
	return false
}

// isFollowed reports whether a type is followed, or a pointer to, a slice of or a function of such a type. A stage of
// the pipe is a function of the document.
func (w *walker) isFollowed(t types.Type) bool {
	switch u := types.Unalias(t).(type) {
	case *types.Pointer:
		return w.isFollowed(u.Elem())
	case *types.Slice:
		return w.isFollowed(u.Elem())
	case *types.Signature:
		for v := range u.Params().Variables() {
			if _, function := v.Type().(*types.Signature); !function && w.isFollowed(v.Type()) {
				return true
			}
		}
	case *types.Named:
		if pkg := u.Obj().Pkg(); pkg != nil && slices.Contains(w.followed, pkg.Name()+"."+u.Obj().Name()) {
			return true
		}
		s, function := u.Underlying().(*types.Signature)
		return function && w.isFollowed(s)
	}
	return false
}
