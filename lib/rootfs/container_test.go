package rootfs

import (
	"reflect"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/program"
)

func TestImageEnv(t *testing.T) {
	got := imageEnv([]string{"PATH=/bin", "A=image", "E=", "BAD", "=bad", "NUL=\x00"})
	want := []program.Variable{{Name: "PATH", Value: "/bin"}, {Name: "A", Value: "image"}, {Name: "E"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestCommand(t *testing.T) {
	entry, none := "/new", ""
	both := v1.ImageConfig{Entrypoint: []string{"/entry", "-x"}, Cmd: []string{"cmd"}}
	tests := []struct {
		config     v1.ImageConfig
		entrypoint *string
		args, want []string
	}{
		{both, nil, nil, []string{"/entry", "-x", "cmd"}},
		{both, nil, []string{"a", "b"}, []string{"/entry", "-x", "a", "b"}},
		{both, &entry, nil, []string{"/new"}},
		{both, &entry, []string{"a"}, []string{"/new", "a"}},
		{both, &none, []string{"a"}, []string{"a"}},
		{both, &none, nil, nil},
		{v1.ImageConfig{Cmd: []string{"cmd", "x"}}, nil, nil, []string{"cmd", "x"}},
		{v1.ImageConfig{}, nil, nil, nil},
	}
	for i, tt := range tests {
		got := command(tt.config, tt.entrypoint, tt.args)
		if len(got)+len(tt.want) > 0 && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%d: got %q, want %q", i, got, tt.want)
		}
	}
}
