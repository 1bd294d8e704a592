package cgroup

import (
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

// BenchmarkGroup creates and removes a container's cgroup in every hierarchy, with the limits of the README's example,
// as each run does.
func BenchmarkGroup(b *testing.B) {
	top := "/mydocker-bench-" + state.NewID()
	r, err := readme().Resources()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		g, err := Open(top + "/" + state.NewID())
		if err != nil {
			b.Skip(err)
		}
		g.base = top
		if _, err := g.create(r); err != nil {
			b.Skip(err)
		}
		if err := g.Remove(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHostTrees(b *testing.B) {
	for b.Loop() {
		if _, err := hostTrees(); err != nil {
			b.Skip(err)
		}
	}
}
