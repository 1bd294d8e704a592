package container

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// BenchmarkList lists 500 running containers.
func BenchmarkList(b *testing.B) {
	top := b.TempDir()
	dir := state.Dir{Root: filepath.Join(top, "lib"), Run: filepath.Join(top, "run")}
	self, err := state.FindProcess(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	for range 500 {
		id := state.NewID()
		document := spec.New(id)
		document.Annotate(spec.AnnotationImage, "busybox:latest")
		document.LinuxPart().CgroupsPath = "/mydocker/" + id
		document.ProcessPart().Args = []string{"sleep", "1000"}
		data, err := document.Encode()
		bundle := dir.Bundle(id)
		err = errors.Join(err,
			state.WriteVolatile(filepath.Join(dir.Runtime(id), state.RunFile), state.Run{Init: self, Monitor: self}),
			state.WriteVolatile(filepath.Join(bundle, state.NetFile), state.Net{Mode: "bridge"}),
			state.WriteVolatile(filepath.Join(bundle, state.SpawnFile), state.Spawn{Created: time.Now(), Started: time.Now()}),
			state.WriteFileVolatile(dir.Config(id), data))
		if err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := List(dir, ListOptions{}, func(err error) { b.Error(err) }); err != nil {
			b.Fatal(err)
		}
	}
}
