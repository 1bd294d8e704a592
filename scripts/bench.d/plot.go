package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// plotHead begins a plot, an SVG file.
const plotHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">
<rect width="100%%" height="100%%" fill="white"/>
<text x="10" y="20" font-size="15">%s</text>
`

// peersPlot draws the time of each engine for a container as bars on a logarithmic scale.
func peersPlot(results []result) string {
	type bar struct {
		label string
		ms    float64
		ours  bool
	}
	var bars []bar
	add := func(b bar) {
		if b.ms > 0 && !slices.ContainsFunc(bars, func(o bar) bool { return o.label == b.label }) {
			bars = append(bars, b)
		}
	}
	for _, r := range results {
		if !slices.Contains([]string{"md-spawn run", "run --net none", "run, bridge", "exec"}, r.Work) {
			continue
		}
		name := "mydocker " + r.Work
		if r.Work == "md-spawn run" {
			name = r.Work
		}
		add(bar{name, r.Ours.Median, true})
		add(bar{r.Peer + strings.TrimPrefix(" "+r.Work, " md-spawn"), r.Theirs.Median, false})
	}
	if len(bars) == 0 {
		return ""
	}
	var b strings.Builder
	height := 50 + 22*len(bars)
	fmt.Fprintf(&b, plotHead, 720, height, "Milliseconds to run `true` in a container (logarithmic)")
	width := func(ms float64) float64 { return 420 * math.Log10(1+ms) / 3 }
	for i, bar := range bars {
		y, colour := 40+22*i, "#b0b8c4"
		if bar.ours {
			colour = "#2a7ab9"
		}
		fmt.Fprintf(&b, `<text x="190" y="%d" text-anchor="end">%s</text><rect x="200" y="%d" width="%.1f" height="16" fill="%s"/><text x="%.1f" y="%d">%s</text>`+"\n",
			y+13, bar.label, y, width(bar.ms), colour, 206+width(bar.ms), y+13, trim(bar.ms))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// scalePlot draws the time of commands over the number of running containers.
func scalePlot(curve []point) string {
	if len(curve) < 2 {
		return ""
	}
	lines := []struct{ command, label, colour string }{
		{"run", "run --rm, bridge", "#2a7ab9"}, {"exec", "exec", "#3a9a5b"}, {"start", "start", "#8a5bb9"},
		{"stop", "stop", "#b95b5b"}, {"ps", "ps", "#c49a3a"}, {"crun", "crun run, for comparison", "#b0b8c4"},
	}
	top := 0.0
	for _, p := range curve {
		for _, l := range lines {
			top = max(top, p.Median[l.command])
		}
	}
	top = math.Ceil(top/10) * 10
	most := float64(curve[len(curve)-1].Running)
	x := func(running int) float64 { return 50 + 480*float64(running)/most }
	y := func(ms float64) float64 { return 300 - 250*ms/top }
	var b strings.Builder
	fmt.Fprintf(&b, plotHead, 720, 340, "Milliseconds per command, by the number of running containers")
	for i := range 6 {
		ms := top * float64(i) / 5
		fmt.Fprintf(&b, `<path d="M50 %.1fH530" stroke="#e4e4e4"/><text x="44" y="%.1f" text-anchor="end">%s</text>`+"\n", y(ms), y(ms)+4, trim(ms))
	}
	for _, p := range curve {
		fmt.Fprintf(&b, `<text x="%.1f" y="320" text-anchor="middle">%d</text>`+"\n", x(p.Running), p.Running)
	}
	for i, l := range lines {
		var points []string
		for _, p := range curve {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(p.Running), y(p.Median[l.command])))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/><text x="545" y="%d" fill="%s">%s</text>`+"\n",
			strings.Join(points, " "), l.colour, 70+20*i, l.colour, l.label)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
