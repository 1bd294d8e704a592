// Package lib_test checks the imports between packages.
package lib_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/weikeit/mydocker/"

// floors lists the packages from the top down. A package imports only those below it.
var floors = []string{
	"lib/pipe", "lib/cli", "lib/container", "lib/registry", "lib/rootfs", "lib/bundle", "lib/monitor", "lib/spawn", "lib/crilog",
	"lib/image", "lib/network", "lib/cni", "lib/firewall", "lib/hosts", "lib/hostport", "lib/link", "lib/cgroup", "lib/state", "lib/program", "lib/spec", "lib/seccomp", "lib/linux", "lib/interrupt", "lib/linux/early", "lib/linux/guard",
}

// narrow lists packages that may import only some of those below them.
var narrow = map[string][]string{
	"lib/pipe":  {"lib/cli", "lib/state", "lib/spec", "lib/linux", "lib/interrupt"},
	"lib/cli":   {"lib/spec", "lib/linux", "lib/interrupt"},
	"lib/spawn": {"lib/cgroup", "lib/spec", "lib/seccomp", "lib/linux", "lib/interrupt"}, // it knows no state directory
}

// only lists modules, by the beginning of their path, that only some packages may import.
var only = map[string][]string{
	"golang.org/x/sys/unix":         {"lib/linux", "lib/link", "lib/firewall"}, // the latter two for constants of netlink messages
	"github.com/alecthomas/kong":    {"lib/cli"},
	"github.com/regclient/":         {"lib/registry"},
	module + "lib/registry":         {"lib/registry", "cmd/md-pull"},
	"github.com/vishvananda/":       {"lib/link", "lib/firewall", "lib/linux"},
	"github.com/klauspost/compress": {"lib/image"},
}

// imports returns the imports of each package below lib and cmd, without tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	for _, top := range []string{"lib", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			pkg := strings.TrimPrefix(path.Dir(filepath.ToSlash(file)), "../")
			for _, spec := range f.Imports {
				name, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				found[pkg] = append(found[pkg], name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < len(floors) {
		t.Fatalf("only %d packages were found: is this the top of the module?", len(found))
	}
	return found
}

func TestArrowsPointDown(t *testing.T) {
	for pkg, names := range imports(t) {
		own := slices.Index(floors, pkg)
		if own < 0 && strings.HasPrefix(pkg, "lib/") {
			t.Errorf("%s: it has no place in floors", pkg)
		}
		for _, name := range names {
			target, ours := strings.CutPrefix(name, module)
			if !ours {
				continue
			}
			floor := slices.Index(floors, target)
			if allowed, some := narrow[pkg]; some && !slices.Contains(allowed, target) {
				t.Errorf("%s imports %s: it may only import %v", pkg, target, allowed)
			} else if floor <= own {
				t.Errorf("%s imports %s: arrows point down", pkg, target)
			}
		}
	}
}

func TestOnlyImporters(t *testing.T) {
	for pkg, names := range imports(t) {
		for _, name := range names {
			for start, allowed := range only {
				if strings.HasPrefix(name, start) && !slices.Contains(allowed, pkg) {
					t.Errorf("%s imports %s: only %v may", pkg, name, allowed)
				}
			}
		}
	}
}
