package cgroup

import (
	"fmt"
	"testing"
)

func TestSupport(t *testing.T) {
	v1 := func(controllers ...string) *tree { return &tree{version: 1, controllers: controllers} }
	v2 := func(controllers ...string) *tree { return &tree{version: 2, controllers: controllers} }
	for _, c := range []struct {
		name  string
		trees trees
		want  string
	}{
		{"v1", trees{v1("cpu", "cpuacct"), v1("cpuset"), v1("memory"), v1("pids")}, "{1 []}"},
		{"v2", trees{v2("cpu", "cpuset", "memory", "pids", "io")}, "{2 []}"},
		{"v2 without memory", trees{v2("cpu", "cpuset", "pids")}, "{2 [memory]}"},
		{"hybrid: v2 is empty", trees{v2(), v1("cpu", "cpuset", "memory", "pids")}, "{1 []}"},
		{"hybrid: one controller in v1", trees{v2("cpu", "cpuset", "pids"), v1("memory")}, "{1 []}"},
		{"v1 without controllers", trees{v1()}, "{1 [cpu cpuset memory pids]}"},
	} {
		if got := fmt.Sprint(c.trees.support()); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
