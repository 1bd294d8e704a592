package cli

import (
	"fmt"
	"slices"
	"strings"
)

// unknown reports a word that is not a command. It names what to use instead, if the tool knows the word, or the nearest
// command. group is the group before the word, or "".
func (t Tool) unknown(group, word string, std *IO) int {
	where, full := t.Name, strings.TrimSpace(group+" "+word)
	if group != "" {
		where += ": " + group
	}
	see := strings.TrimSpace(t.Name + " " + group)
	if text, ok := t.Elsewhere[full]; ok {
		fmt.Fprintln(std.Err, OneLine(fmt.Sprintf("%s: there is no command %s: %s", t.Name, full, text)))
		return ExitUsage
	}
	guess := ""
	if near := t.nearest(group, word); near != "" {
		guess = ": did you mean " + near + "?"
	}
	fmt.Fprintln(std.Err, OneLine(fmt.Sprintf("%s: unknown command %q%s (see '%s --help')", where, word, guess, see)))
	return ExitUsage
}

// nearest returns the command of a group, or of the tool, with the smallest distance from a word; "" if none is near.
func (t Tool) nearest(group, word string) string {
	best, least := "", 1+len(word)/4 // number of wrong letters
	if len(word) < 3 {
		return ""
	}
	for _, c := range t.names(group) {
		if d := distance(word, c.word); d < least || d == least && best == "" {
			best, least = c.word, d
		}
	}
	return best
}

// distance returns the number of letters to insert, delete, change or swap with the next (Damerau-Levenshtein distance).
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = slices.Min([]int{row[j+1] + 1, next[j] + 1, row[j] + cost})
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
