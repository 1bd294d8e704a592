package container

import (
	"testing"
	"time"
)

func TestPruneFilter(t *testing.T) {
	now := time.Now()
	labels := map[string]string{"a": "b", "empty": ""}
	for _, tt := range []struct {
		words []string
		want  bool
	}{
		{nil, true},
		{[]string{"until=1h"}, true},
		{[]string{"until=3h"}, false},
		{[]string{"label=a"}, true},
		{[]string{"label=a=b"}, true},
		{[]string{"label=a=c"}, false},
		{[]string{"label=none"}, false},
		{[]string{"label=empty="}, true},
		{[]string{"label!=a=c"}, true},
		{[]string{"label!=a"}, false},
		{[]string{"label=a", "until=3h"}, false},
	} {
		f, err := ParsePruneFilter(tt.words, now)
		if err != nil || f.matches(now.Add(-2*time.Hour), labels) != tt.want {
			t.Errorf("%q: %v, %v", tt.words, !tt.want, err)
		}
	}
	for _, word := range []string{"", "until", "until=never", "name=x"} {
		if _, err := ParsePruneFilter([]string{word}, now); err == nil {
			t.Errorf("%q: no error", word)
		}
	}
}
