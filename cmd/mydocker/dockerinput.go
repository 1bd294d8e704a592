package main

import "strings"

// Rewrite implements cli.Rewriter. In docker -i keeps standard input open, here it names the image. An image's name never
// begins with a dash, so the two can be told apart. -h before a word is docker's --hostname.
func (*imageAndCommand) Rewrite(args []string, takesValue func(option string) bool) []string {
	var words []string
	for i := 0; i < len(args); i++ {
		word := args[i]
		if len(word) < 2 || word[0] != '-' || word == "--" { // the image or the command
			return append(words, args[i:]...)
		}
		if word == "-h" && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			word = "--hostname"
		}
		rest, valued := word, takesValue(word)
		if word[1] != '-' {
			nextIsName := i+1 < len(args) && !strings.HasPrefix(args[i+1], "-")
			var interactive bool
			if rest, interactive, valued = splitCluster(word, nextIsName, takesValue); interactive {
				words = append(words, "--interactive")
			}
		}
		if rest != "-" {
			words = append(words, rest)
		}
		if valued && i+1 < len(args) {
			i++
			words = append(words, args[i])
		}
	}
	return words
}

// splitCluster takes docker's -i out of a word of options with one letter, such as -itd. The last letter i is docker's too
// if no name follows. valued reports that the next word is the value of the last letter.
func splitCluster(word string, nextIsName bool, takesValue func(option string) bool) (rest string, interactive, valued bool) {
	rest = "-"
	for j := 1; j < len(word); j++ {
		last := j == len(word)-1
		switch option := "-" + word[j:j+1]; {
		case option == "-i" && last && nextIsName:
			return rest + "i", interactive, true
		case option == "-i":
			interactive = true
			continue
		case takesValue(option) || strings.HasPrefix(word[j+1:], "="): // the value is the rest of the word
			return rest + word[j:], interactive, last
		}
		rest += word[j : j+1]
	}
	return rest, interactive, false
}
