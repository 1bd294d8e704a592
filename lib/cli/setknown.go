package cli

import (
	"strings"

	"github.com/alecthomas/kong"
)

// setKnown sets the options and arguments that the words hold for a command, past those that are wrong. Kong sets
// nothing after a parse error, but a stage must still know whether its document is on standard input.
func setKnown(node *kong.Node, words []string) {
	options, n := true, 0 // n: arguments so far
	for len(words) > 0 {
		word, rest := words[0], words[1:]
		switch {
		case options && word == "--":
			options = false
		case options && len(word) > 1 && word[0] == '-':
			rest = setKnownOption(node, word, rest)
		default:
			arg := argument(node, n)
			if arg == nil {
				return
			}
			if n++; arg.Passthrough {
				_ = arg.Parse(kong.ScanAsType(kong.PositionalArgumentToken, words...), arg.Target)
				return
			}
			_ = arg.Parse(kong.ScanAsType(kong.PositionalArgumentToken, word), arg.Target)
		}
		words = rest
	}
}

// setKnownOption sets the option that word names, or the options of one letter, and returns the words after its value.
// The word behind an unknown option is taken for its value.
func setKnownOption(node *kong.Node, word string, rest []string) []string {
	name, value, given := strings.Cut(word, "=")
	flag := findFlag(node, name)
	if flag == nil && !strings.HasPrefix(word, "--") {
		if flag = findFlag(node, word[:2]); flag != nil {
			value, given = word[2:], true // -b/dir
		}
		if flag != nil && flag.IsBool() {
			_ = flag.Parse(kong.Scan(), flag.Target)
			return setKnownOption(node, "-"+word[2:], rest) // -db /dir
		}
	}
	switch {
	case given:
	case flag != nil && flag.IsBool():
		_ = flag.Parse(kong.Scan(), flag.Target)
		return rest
	case len(rest) == 0 || flag == nil && strings.HasPrefix(rest[0], "-"):
		return rest
	default:
		value, rest = rest[0], rest[1:]
	}
	if flag != nil {
		_ = flag.Parse(kong.ScanFromTokens(kong.Token{Value: value, Type: kong.FlagValueToken}), flag.Target)
	}
	return rest
}
