package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// house is a small module: a document goes from the top floor to the lowest and back.
var house = map[string]string{
	"go.mod":             "module github.com/weikeit/mydocker\n\ngo 1.24\n",
	"lib/arrows_test.go": "package lib_test\n\nvar floors = []string{\"lib/top\", \"lib/low\", \"lib/spec\"}\n",
	"lib/spec/spec.go":   "package spec\n\ntype Spec struct{ err error }\n\nfunc (s *Spec) Note() {}\n\ntype Stage func(*Spec)\n",
	"lib/low/low.go": `package low

import "github.com/weikeit/mydocker/lib/spec"

func Do(s *spec.Spec) { s.Note(); other(1) }

func Generic[T any](s *spec.Spec, v T) {}

func other(int) {}
`,
	"lib/top/first.go": `package top

import (
	"github.com/weikeit/mydocker/lib/low"
	"github.com/weikeit/mydocker/lib/spec"
)

type Top struct{}

func (t *Top) Run(s *spec.Spec, err error) {
	second(s)
	second(s)
	func() { low.Do(s) }()
	low.Generic[int](s, 1)
	_ = err.Error()
}
`,
	"lib/top/second.go": `package top

import (
	"github.com/weikeit/mydocker/lib/low"
	"github.com/weikeit/mydocker/lib/spec"
)

func second(s *spec.Spec) { low.Do(s) }
`,
	"cmd/tool/main.go": "package main\n\nfunc main() {}\n",
}

func enterHouse(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range house {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func TestWalk(t *testing.T) {
	enterHouse(t)
	var out strings.Builder
	if err := run([]string{"-v", "./lib/top", "Top.Run"}, &out); err != nil {
		t.Fatal(err)
	}
	// The second call of second is an entry too, but its body is not followed again.
	const want = `lib/top/first.go  lib/top.Top.Run
 lib/top/second.go  lib/top.second
  lib/low/low.go  lib/low.Do
  lib/top/second.go  lib/top.second
 lib/top/first.go  lib/top.Top.Run
 lib/top/second.go  lib/top.second
 lib/top/first.go  lib/top.Top.Run
 lib/low/low.go  lib/low.Do
 lib/top/first.go  lib/top.Top.Run
 lib/low/low.go  lib/low.Generic
 lib/top/first.go  lib/top.Top.Run
3 rooms, 0 climbs, 8 returns
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

func TestWalkErrors(t *testing.T) {
	enterHouse(t)
	if err := run([]string{"./lib/top"}, &strings.Builder{}); !errors.Is(err, errUsage) {
		t.Errorf("one argument: %v", err)
	}
	if err := run([]string{"./lib/top", "Nothing"}, &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "no such function") {
		t.Errorf("a missing function: %v", err)
	}
}
