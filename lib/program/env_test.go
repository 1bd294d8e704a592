package program

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// caller returns a Lookup in the given environment.
func caller(env map[string]string) Lookup {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func TestEnvironmentOrder(t *testing.T) {
	m := caller(map[string]string{"FROM_CALLER": "c", "EMPTY": "", "SECRET": "s"})
	file := filepath.Join(t.TempDir(), "env")
	must(t, os.WriteFile(file, []byte("\ufeff# comment\n\n  B=file\r\nC=a # b \"c\" $d\nFROM_CALLER\nNOWHERE\nD=\n"), 0o600))
	vars, err := m.ParseEnv([]string{file}, []string{"C=word", "EMPTY", "A", "E=x=y", "E=z=y"})
	must(t, err)
	image := []Variable{{Name: "PATH", Value: "/bin"}, {Name: "A", Value: "image"}, {Name: "B", Value: "image"}}
	got := SetEnv(nil, append(image, vars...))
	want := []string{"PATH=/bin", "B=file", "C=word", "FROM_CALLER=c", "D=", "EMPTY=", "E=z=y"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestEnvFileKeepsText(t *testing.T) {
	vars, err := caller(nil).parseEnvFile("C=a # b \"c\" $d \n")
	if err != nil || len(vars) != 1 || vars[0].Value != `a # b "c" $d ` {
		t.Errorf("got %+v, %v", vars, err)
	}
	for text, want := range map[string]string{"A=1\nB C=2": "line 2", "=x": "line 1", "A\x00=1": "NUL"} {
		if _, err := caller(nil).parseEnvFile(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestDefaultEnv(t *testing.T) {
	got := DefaultEnv([]string{"HOME=/mine"}, []Variable{{Name: "HOME", Value: "/root"}, {Name: "TERM", Value: "xterm"}})
	if want := []string{"HOME=/mine", "TERM=xterm"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

func FuzzParseEnvFile(f *testing.F) {
	f.Add("A=1\n# x\nB\n")
	f.Fuzz(func(t *testing.T, text string) {
		vars, err := caller(map[string]string{"B": "x"}).parseEnvFile(text)
		if err != nil {
			return
		}
		for _, word := range SetEnv(nil, vars) {
			if word == "" || word[0] == '=' || strings.ContainsAny(word, "\n\x00") {
				t.Errorf("variable %q of %q", word, text)
			}
		}
	})
}
