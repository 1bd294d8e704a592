package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// code is the module's packages below lib and cmd.
type code struct {
	top       string // directory of the checkout
	fset      *token.FileSet
	functions map[string]*function // by package path, type and name
	floors    []string             // packages, highest first
}

// function is a function of the module.
type function struct {
	file string // path from the top of the checkout
	body *ast.BlockStmt
	info *types.Info
}

// listed is a package in the output of go list.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// load parses and type-checks the module in the working directory.
func load() (*code, error) {
	top, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	c := &code{top: top, fset: token.NewFileSet(), functions: make(map[string]*function)}
	if c.floors, err = readFloors(filepath.Join(top, "lib/arrows_test.go")); err != nil {
		return nil, fmt.Errorf("read the floors: %w", err)
	}
	packages, err := list()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	exports := make(map[string]string)
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	imports := importer.ForCompiler(c.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range packages {
		if !strings.HasPrefix(p.ImportPath, module) {
			continue
		}
		if err := c.check(p, imports); err != nil {
			return nil, fmt.Errorf("check package %s: %w", p.ImportPath, err)
		}
	}
	return c, nil
}

// list returns the packages of the module and their dependencies, with export data.
func list() ([]listed, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles", "./lib/...", "./cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages, nil
		}
		if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// check type-checks a package and adds its functions.
func (c *code) check(p listed, imports types.Importer) error {
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(c.fset, filepath.Join(p.Dir, name), nil, 0)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	info := &types.Info{Defs: make(map[*ast.Ident]types.Object), Uses: make(map[*ast.Ident]types.Object), Types: make(map[ast.Expr]types.TypeAndValue)}
	if _, err := (&types.Config{Importer: imports}).Check(p.ImportPath, c.fset, files, info); err != nil {
		return err
	}
	for _, f := range files {
		for _, d := range f.Decls {
			declared, ok := d.(*ast.FuncDecl)
			if !ok || declared.Body == nil {
				continue
			}
			file, err := filepath.Rel(c.top, c.fset.Position(declared.Pos()).Filename)
			if err != nil {
				return err
			}
			id := nameOf(info.Defs[declared.Name].(*types.Func))
			c.functions[id] = &function{file: filepath.ToSlash(file), body: declared.Body, info: info}
		}
	}
	return nil
}

// nameOf returns package path, receiver type and name of a function. It is the same for all instances of a generic one.
func nameOf(fn *types.Func) string {
	fn = fn.Origin()
	name := fn.Name()
	if recv := fn.Type().(*types.Signature).Recv(); recv != nil {
		t := types.Unalias(recv.Type())
		if p, ok := t.(*types.Pointer); ok {
			t = types.Unalias(p.Elem())
		}
		if n, ok := t.(*types.Named); ok {
			name = n.Obj().Name() + "." + name
		}
	}
	if fn.Pkg() == nil { // error.Error
		return name
	}
	return fn.Pkg().Path() + "." + name
}

// floor returns the floor of a file's package, 0 is the highest. Commands are above all packages.
func (c *code) floor(file string) int { return slices.Index(c.floors, path.Dir(file)) }

// readFloors reads the list of packages from the test that enforces it.
func readFloors(file string) ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil, err
	}
	var floors []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || v.Names[0].Name != "floors" {
			return true
		}
		ast.Inspect(v, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok {
				floors = append(floors, strings.Trim(lit.Value, `"`))
			}
			return true
		})
		return false
	})
	if len(floors) == 0 {
		return nil, errors.New("no variable floors in " + file)
	}
	return floors, nil
}
