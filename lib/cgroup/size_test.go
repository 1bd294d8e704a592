package cgroup

import "testing"

func TestSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want Size
	}{
		{"512000000", 512000000}, {"0", 0}, {"10b", 10}, {"512m", 512 << 20}, {"512M", 512 << 20}, {"512mb", 512 << 20},
		{"512MiB", 512 << 20}, {"1.5g", 3 << 29}, {"64k", 64 << 10}, {"1T", 1 << 40}, {".5k", 512}, {"-1", Unlimited},
		{"9223372036854775807", 1<<63 - 1}, {"9007199254740993", 9007199254740993}, // not through a float
	} {
		var s Size
		if err := s.UnmarshalText([]byte(c.text)); err != nil || s != c.want {
			t.Errorf("%s: %d, %v, want %d", c.text, s, err, c.want)
		}
		text, _ := s.MarshalText()
		var back Size
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%s: written as %s, read back as %d, %v", c.text, text, back, err)
		}
	}
}

func TestSizeMalformed(t *testing.T) {
	for _, text := range []string{
		"", "m", "5x", "5mm", "5im", "-2", "-1m", "1e3", "0x10", "1.2.3", ".", "5 m", "+5", "8e", "9223372036854775808", "NaN", "inf", "1_000",
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken for %d", text, s)
		}
	}
}
