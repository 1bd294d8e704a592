package image

import (
	"reflect"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestApplyChange(t *testing.T) {
	c := v1.ImageConfig{Env: []string{"A=old"}, WorkingDir: "/srv"}
	for _, line := range []string{
		`CMD ["sh", "-c", "id"]`, "entrypoint exec true", `ENV A=new B="two words" C=it\'s`, "ENV D one two", "EXPOSE 80 53/udp",
		"LABEL a=b", "USER 7:8", `VOLUME ["/data"]`, "WORKDIR sub", "STOPSIGNAL SIGUSR1",
	} {
		if err := applyChange(&c, line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	want := v1.ImageConfig{
		Cmd: []string{"sh", "-c", "id"}, Entrypoint: []string{"/bin/sh", "-c", "exec true"},
		Env:          []string{"A=new", "B=two words", "C=it's", "D=one two"},
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}}, Labels: map[string]string{"a": "b"},
		User: "7:8", Volumes: map[string]struct{}{"/data": {}}, WorkingDir: "/srv/sub", StopSignal: "SIGUSR1",
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
	for _, line := range []string{"", "CMD", "RUN true", `ENV A="b`, "ENV A=b =c"} {
		if err := applyChange(&c, line); err == nil {
			t.Errorf("%q: no error", line)
		}
	}
}
