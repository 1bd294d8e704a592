package rootfs

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// caller returns a manager whose caller has the given environment.
func caller(env map[string]string) *Manager {
	m := New(state.Dir{Root: "/nowhere", Run: "/nowhere"})
	m.LookupEnv = func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
	return m
}

func TestEnvironmentOrder(t *testing.T) {
	m := caller(map[string]string{"FROM_CALLER": "c", "EMPTY": "", "SECRET": "s"})
	file := filepath.Join(t.TempDir(), "env")
	mustWrite(t, file, "\ufeff# comment\n\n  B=file\r\nC=a # b \"c\" $d\nFROM_CALLER\nNOWHERE\nD=\n", 0o600)
	vars, err := m.parseEnv([]string{file}, []string{"C=word", "EMPTY", "A", "E=x=y", "E=z=y"})
	must(t, err)
	image := imageEnv([]string{"PATH=/bin", "A=image", "B=image", "BAD", "=bad"})
	got := setEnv(nil, append(image, vars...))
	want := []string{"PATH=/bin", "B=file", "C=word", "FROM_CALLER=c", "D=", "EMPTY=", "E=z=y"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestEnvFileKeepsText(t *testing.T) {
	vars, err := caller(nil).parseEnvFile("C=a # b \"c\" $d \n")
	if err != nil || len(vars) != 1 || vars[0].value != `a # b "c" $d ` {
		t.Errorf("got %+v, %v", vars, err)
	}
	for text, want := range map[string]string{"A=1\nB C=2": "line 2", "=x": "line 1", "A\x00=1": "NUL"} {
		if _, err := caller(nil).parseEnvFile(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestDefaultEnv(t *testing.T) {
	got := defaultEnv([]string{"HOME=/mine"}, []variable{{name: "HOME", value: "/root"}, {name: "TERM", value: "xterm"}})
	if want := []string{"HOME=/mine", "TERM=xterm"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
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

func FuzzParseEnvFile(f *testing.F) {
	f.Add("A=1\n# x\nB\n")
	f.Fuzz(func(t *testing.T, text string) {
		vars, err := caller(map[string]string{"B": "x"}).parseEnvFile(text)
		if err != nil {
			return
		}
		for _, word := range setEnv(nil, vars) {
			if word == "" || word[0] == '=' || strings.ContainsAny(word, "\n\x00") {
				t.Errorf("variable %q of %q", word, text)
			}
		}
	})
}
