package spec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// foreign returns documents of other programs, with unknown fields at every depth.
func foreign(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 2 {
		t.Fatal("no documents in testdata", err)
	}
	found := make(map[string][]byte)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(file)] = data
	}
	return found
}

func mustRead(t testing.TB, data []byte) *Spec {
	t.Helper()
	s, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tree decodes JSON without converting numbers.
func tree(t testing.TB, data []byte) map[string]any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v map[string]any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func encoded(t testing.TB, s *Spec) map[string]any {
	t.Helper()
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return tree(t, data)
}

// at follows keys and indexes from v: at(v, "mounts", 1, "options").
func at(t testing.TB, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("%v: no object at %v", path, step)
			}
			v = object[step]
		case int:
			array, ok := v.([]any)
			if !ok || step >= len(array) {
				t.Fatalf("%v: no element %v", path, step)
			}
			v = array[step]
		}
	}
	return v
}

func expect(t *testing.T, got any, want string) {
	t.Helper()
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != want {
		t.Errorf("got %s, want %s", data, want)
	}
}

func TestForeignDocumentsUnchanged(t *testing.T) {
	for name, data := range foreign(t) {
		t.Run(name, func(t *testing.T) {
			want, got := tree(t, data), encoded(t, mustRead(t, data))
			if !reflect.DeepEqual(got, want) {
				a, _ := json.MarshalIndent(got, "", " ")
				b, _ := json.MarshalIndent(want, "", " ")
				t.Errorf("got  %s\nwant %s", a, b)
			}
		})
	}
}

// TestEditsKeepUnknownFields makes the changes of our stages to a foreign document, and checks that nothing else
// changes.
func TestEditsKeepUnknownFields(t *testing.T) {
	for name, data := range foreign(t) {
		t.Run(name, func(t *testing.T) {
			s := mustRead(t, data)
			s.Root.Path = "/elsewhere"
			s.Annotate("mydocker.id", "0123456789ab")
			s.SetNamespace(specs.NetworkNamespace, "/run/mydocker/netns/0123456789ab")
			limit := int64(64)
			s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &limit}
			s.Mounts = append([]specs.Mount{{Destination: "/first", Source: "/x", Type: "bind"}}, s.Mounts...)
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/last", Source: "/y", Type: "bind"})
			if s.Hooks == nil {
				s.Hooks = &specs.Hooks{}
			}
			s.Hooks.Poststop = append([]specs.Hook{{Path: "/bin/md-net"}}, s.Hooks.Poststop...)
			got, want := encoded(t, s), tree(t, data)

			// The same changes to the decoded source.
			object := func(path ...any) map[string]any { return at(t, want, path...).(map[string]any) }
			object("root")["path"] = "/elsewhere"
			if want["annotations"] == nil {
				want["annotations"] = map[string]any{}
			}
			object("annotations")["mydocker.id"] = "0123456789ab"
			for _, ns := range at(t, want, "linux", "namespaces").([]any) {
				if ns := ns.(map[string]any); ns["type"] == "network" {
					ns["path"] = "/run/mydocker/netns/0123456789ab"
				}
			}
			if pids := object("linux", "resources")["pids"]; pids == nil {
				object("linux", "resources")["pids"] = map[string]any{}
			}
			object("linux", "resources", "pids")["limit"] = json.Number("64")
			bind := func(destination, source string) any {
				return map[string]any{"destination": destination, "source": source, "type": "bind"}
			}
			mounts := append([]any{bind("/first", "/x")}, want["mounts"].([]any)...)
			want["mounts"] = append(mounts, bind("/last", "/y"))
			if want["hooks"] == nil {
				want["hooks"] = map[string]any{}
			}
			poststop, _ := object("hooks")["poststop"].([]any)
			object("hooks")["poststop"] = append([]any{map[string]any{"path": "/bin/md-net"}}, poststop...)
			if !reflect.DeepEqual(got, want) {
				a, _ := json.MarshalIndent(got, "", " ")
				b, _ := json.MarshalIndent(want, "", " ")
				t.Errorf("got  %s\nwant %s", a, b)
			}
		})
	}
}

func TestUnknownFieldsFollowElement(t *testing.T) {
	const source = `{"ociVersion":"1.0.0","mounts":[
		{"destination":"/a","type":"tmpfs","x":1},
		{"destination":"/b","type":"tmpfs","x":2},
		{"destination":"/c","type":"tmpfs","x":3}]}`
	added := specs.Mount{Destination: "/n", Type: "tmpfs"}
	tests := []struct {
		name string
		edit func([]specs.Mount) []specs.Mount
		want string // destinations with their x
	}{
		{"none", func(m []specs.Mount) []specs.Mount { return m }, "/a1 /b2 /c3"},
		{"reversed", func(m []specs.Mount) []specs.Mount { return []specs.Mount{m[2], m[1], m[0]} }, "/c3 /b2 /a1"},
		{"one inserted", func(m []specs.Mount) []specs.Mount { return []specs.Mount{m[0], added, m[1], m[2]} }, "/a1 /n /b2 /c3"},
		{"first removed", func(m []specs.Mount) []specs.Mount { return m[1:] }, "/b2 /c3"},
		{"changed in place", func(m []specs.Mount) []specs.Mount { m[1].Options = []string{"ro"}; return m }, "/a1 /b2 /c3"},
		{"changed and moved", func(m []specs.Mount) []specs.Mount {
			m[0].Options = []string{"ro"}
			return []specs.Mount{m[1], m[0], m[2]}
		}, "/b2 /a1 /c3"},
		{"changed and one prepended", func(m []specs.Mount) []specs.Mount {
			m[1].Options = []string{"ro"}
			return append([]specs.Mount{added}, m...)
		}, "/n /a1 /b2 /c3"},
		{"replaced", func(m []specs.Mount) []specs.Mount { m[1] = added; return m }, "/a1 /n /c3"},
		{"one doubled", func(m []specs.Mount) []specs.Mount { return []specs.Mount{m[0], m[0], m[1], m[2]} }, "/a1 /a /b2 /c3"},
		{"all", func([]specs.Mount) []specs.Mount { return nil }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustRead(t, []byte(source))
			s.Mounts = tt.edit(s.Mounts)
			var got []string
			mounts, _ := encoded(t, s)["mounts"].([]any)
			for _, m := range mounts {
				m := m.(map[string]any)
				text := m["destination"].(string)
				if x, ok := m["x"]; ok {
					text += fmt.Sprint(x)
				}
				got = append(got, text)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

// TestRemovedFieldsStayRemoved: the source must not restore a removed field.
func TestRemovedFieldsStayRemoved(t *testing.T) {
	s := mustRead(t, []byte(`{"ociVersion":"1.0.0","hostname":"h","process":{"cwd":"/","terminal":true,
		"args":["a","b"],"user":{"uid":1,"gid":2}},"annotations":{"a":"1","b":"2"},
		"linux":{"cgroupsPath":"/x","resources":{"pids":{"limit":5}},"namespaces":[{"type":"network","path":"/n"}]}}`))
	s.Hostname, s.Process.Terminal, s.Process.Args = "", false, []string{"c"}
	s.Process.User = specs.User{}
	s.Annotate("a", "")
	s.Linux.Resources, s.Linux.CgroupsPath = nil, ""
	s.RemoveNamespace(specs.NetworkNamespace)
	expect(t, encoded(t, s), `{"annotations":{"b":"2"},"linux":{},"ociVersion":"1.0.0",`+
		`"process":{"args":["c"],"cwd":"/","user":{"gid":0,"uid":0}}}`)
}

func TestReadRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", "no document on standard input"},
		{"blanks", " \n\t\n", "no document on standard input"},
		{"not JSON", "hello", "not an OCI config.json"},
		{"cut off", `{"ociVersion":"1.0.0","linux":{`, "not an OCI config.json"},
		{"two documents", `{"ociVersion":"1.0.0"}{"ociVersion":"1.0.0"}`, "not an OCI config.json"},
		{"an array", `[]`, "not an OCI config.json: got a JSON array"},
		{"another type", `{"ociVersion":"1.0.0","process":"x"}`, "not an OCI config.json: process is a JSON string"},
		{"no version", `{}`, `ociVersion ""`},
		{"an older major", `{"ociVersion":"0.9.0"}`, `ociVersion "0.9.0"`},
		{"a newer major", `{"ociVersion":"2.0.0"}`, `ociVersion "2.0.0"`},
		{"no minor version", `{"ociVersion":"1"}`, `ociVersion "1"`},
		{"version 10", `{"ociVersion":"10.0"}`, `ociVersion "10.0"`},
		{"a long version", `{"ociVersion":"` + strings.Repeat("9", 5000) + `."}`, `only 1.x`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 300 {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if empty := strings.TrimSpace(tt.in) == ""; errors.Is(err, ErrEmpty) != empty {
				t.Errorf("ErrEmpty: %v", !empty)
			}
		})
	}
	for _, version := range []string{"1.0.0", "1.3.0", "1.99.0-rc.1", "1.0.2-dev"} {
		if _, err := Read(strings.NewReader(`{"ociVersion":"` + version + `"}`)); err != nil {
			t.Error(err)
		}
	}
}

type brokenStream struct{ error }

func (b brokenStream) Read([]byte) (int, error)  { return 0, b.error }
func (b brokenStream) Write([]byte) (int, error) { return 0, b.error }

func TestStreamErrorsAreWrapped(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Read(brokenStream{broken}); !errors.Is(err, broken) {
		t.Errorf("read: %v", err)
	}
	if err := New("0123456789ab").Write(brokenStream{broken}); !errors.Is(err, broken) {
		t.Errorf("write: %v", err)
	}
}

func TestWriteIsOneCall(t *testing.T) {
	var w countingWriter
	if err := New("0123456789ab").Write(&w); err != nil || w.calls != 1 || !strings.HasSuffix(w.String(), "}\n") {
		t.Errorf("%d calls, %v", w.calls, err)
	}
}

type countingWriter struct {
	bytes.Buffer
	calls int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.calls++
	return w.Buffer.Write(p)
}

func TestCompose(t *testing.T) {
	broken := errors.New("broken")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tests := []struct {
		name   string
		ctx    context.Context
		stages string // o: succeeds, x: fails, c: succeeds and cancels the context
		want   string // the stages that ran; u: undo
		err    error
	}{
		{"no stages", context.Background(), "", "", nil},
		{"all succeed", context.Background(), "ooo", "ooo", nil},
		{"the first fails", context.Background(), "xoo", "xu", broken},
		{"the last fails", context.Background(), "oox", "ooxu", broken},
		{"cancelled between", ctx, "coo", "cu", context.Canceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var ran string
			var stages []Stage
			for _, kind := range tt.stages {
				stages = append(stages, func(_ context.Context, s *Spec) error {
					ran += string(kind)
					s.Annotate("last", string(kind))
					switch kind {
					case 'x':
						return broken
					case 'c':
						cancel()
					}
					return nil
				})
			}
			undo := func(ctx context.Context, s *Spec) {
				ran += "u"
				if ctx.Err() != nil {
					t.Error("the context of undo is cancelled")
				}
				if s.Annotation("last") == "" {
					t.Error("undo got another document")
				}
			}
			err := Compose(undo, stages...)(tt.ctx, New("0123456789ab"))
			if ran != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("ran %q with %v, want %q with %v", ran, err, tt.want, tt.err)
			}
		})
	}
}

// TestFieldCase: encoding/json ignores the case of keys, so a changed field is written once.
func TestFieldCase(t *testing.T) {
	s := mustRead(t, []byte(`{"ociVersion":"1.0.0","x":1,"process":{"nonewprivileges":true,"CWD":"/a","Y":2},"hostName":""}`))
	s.Process.NoNewPrivileges, s.Process.Cwd, s.Hostname = false, "/b", "h"
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again := mustRead(t, data)
	if again.Process.NoNewPrivileges || again.Process.Cwd != "/b" || again.Hostname != "h" {
		t.Errorf("change lost: %s", data)
	}
	for _, unknown := range []string{`"x": 1`, `"Y": 2`} {
		if !bytes.Contains(data, []byte(unknown)) {
			t.Errorf("%s lost: %s", unknown, data)
		}
	}
}

// FuzzRead: a document that was read is encoded without loss.
func FuzzRead(f *testing.F) {
	for _, data := range foreign(f) {
		f.Add(data)
	}
	for _, text := range []string{
		`{"ociVersion":"1.0.0"}`, `{"ociVersion":"1.0.0","mounts":null}`, `{"ociVersion":"1.0.0","Hostname":"a","hostname":"b"}`,
		`{"ociVersion":"1.0.0","linux":{"namespaces":[{},{"type":"pid"},{}]}}`, `{"ociVersion":"1.0.0","x":1e400}`,
		`{"oCiVersion":"1.","linux":{"resources":{"memory":{"liMit":0}}}}`, `{"ociversion":"1.0.0","process":{"nonewprivileges":true,"CWD":""}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		once, err := s.Encode()
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		again := mustRead(t, once)
		if !reflect.DeepEqual(s.Spec, again.Spec) {
			a, _ := json.Marshal(s.Spec)
			b, _ := json.Marshal(again.Spec)
			if !bytes.Equal(a, b) { // nil and empty are the same in JSON
				t.Fatalf("got %s, want %s", b, a)
			}
		}
		twice, err := again.Encode()
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("not stable: %v\n%s\n%s", err, once, twice)
		}
	})
}
