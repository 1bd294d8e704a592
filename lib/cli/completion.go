package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// The shells' scripts pass the words of the line to the tool (`md-net --complete WORD...`, where the last word is the one
// under the cursor) and show its answer: a line "word<TAB>description" for each candidate, or a line with a colon at its
// head for candidates that the shell finds itself.
const (
	filesLine    = ":files"
	dirsLine     = ":dirs"
	commandsLine = ":commands"
)

// candidate is a completion of the last word.
type candidate struct{ word, about string }

// complete prints the candidates for the last word.
func (t Tool) complete(w io.Writer, words []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	for _, c := range t.candidates(words[:len(words)-1], last) {
		if strings.HasPrefix(c.word, last) || strings.HasPrefix(c.word, ":") {
			fmt.Fprintf(w, "%s\t%s\n", OneLine(c.word), OneLine(c.about))
		}
	}
}

// candidates returns the candidates for last, which follows the words before.
func (t Tool) candidates(before []string, last string) []candidate {
	if t.single() {
		return t.Commands[0].candidates(t, before, last)
	}
	for len(before) > 0 && strings.HasPrefix(before[0], "-") {
		before = before[1:]
	}
	if len(before) > 0 && (before[0] == "help" || before[0] == "h") {
		before = before[1:]
	}
	for n := min(2, len(before)); n > 0; n-- {
		if c, ok := t.find(strings.Join(before[:n], " ")); ok {
			return c.candidates(t, before[n:], last)
		}
	}
	switch {
	case len(before) == 0 && strings.HasPrefix(last, "-"):
		options := t.globalOptions()
		return optionCandidates(options[:])
	case len(before) == 0:
		return t.names("")
	case len(before) == 1:
		if _, ok := t.group(before[0]); ok {
			return t.names(before[0])
		}
	}
	return nil
}

// names returns the names of the commands of a group, or of the tool.
func (t Tool) names(group string) []candidate {
	var all []candidate
	rows := append(append(t.rows(group, false), helpRow), t.rows(group, true)...)
	if group != "" {
		rows = append(rows, t.aliasRows(group)...)
	}
	for _, row := range rows {
		for name := range strings.SplitSeq(row[0], ", ") {
			if len(name) > 1 { // not h
				all = append(all, candidate{name, row[1]})
			}
		}
	}
	return all
}

// candidates returns the candidates for last, which follows the words before of a command.
func (c Command) candidates(t Tool, before []string, last string) []candidate {
	parser, err := c.parser(t, c.New(), &common{})
	if err != nil {
		return nil
	}
	node := parser.Model.Node
	at := place(node, before)
	switch {
	case at.flag != nil:
		return values(at.flag.Value, last)
	case at.options && strings.HasPrefix(last, "-"):
		name, value, given := strings.Cut(last, "=")
		if f := findFlag(node, name); f != nil && given {
			return prefixed(name+"=", values(f.Value, value))
		}
		return append(flagCandidates(node), optionCandidates(commonOptions[:])...)
	case at.arg != nil:
		return values(at.arg, last)
	case at.files:
		return []candidate{{filesLine, ""}}
	}
	return nil
}

// position describes the cursor's place in the line of a command.
type position struct {
	flag    *kong.Flag  // the option whose value is expected, or
	arg     *kong.Value // the argument that is expected, or
	files   bool        // a file of the host is expected;
	options bool        // options may stand here too
}

// place parses the words before the cursor as kong does.
func place(node *kong.Node, before []string) position {
	at := position{options: true}
	n := 0 // arguments so far
	for _, word := range before {
		switch {
		case at.flag != nil:
			at.flag = nil
		case at.options && word == "--":
			at.options = false
		case at.options && strings.HasPrefix(word, "-") && len(word) > 1:
			at.flag = awaitsValue(node, word)
		default:
			n++
			if arg := argument(node, n-1); arg != nil && arg.Passthrough {
				at.options = false
			}
		}
	}
	at.arg = argument(node, n)
	if at.arg != nil && at.arg.Passthrough && n >= len(node.Positional) {
		// The arguments of a program. Files in containers cannot be listed.
		at.files = at.arg.Name == "command"
		at.arg = nil
	}
	return at
}

// argument returns the n-th argument. A list at the end takes all further ones.
func argument(node *kong.Node, n int) *kong.Value {
	args := node.Positional
	switch {
	case n < len(args):
		return args[n]
	case len(args) > 0 && args[len(args)-1].IsSlice():
		return args[len(args)-1]
	}
	return nil
}

// awaitsValue returns the option that a word names, if its value is the next word.
func awaitsValue(node *kong.Node, word string) *kong.Flag {
	if f := findFlag(node, word); f != nil && !f.IsBool() && !strings.Contains(word, "=") {
		return f
	}
	return nil
}

// findFlag returns the option that a word names: --name, --name=value, -n.
func findFlag(node *kong.Node, word string) *kong.Flag {
	word, _, _ = strings.Cut(word, "=")
	for _, f := range node.Flags {
		names := append([]string{f.Name}, f.Aliases...)
		for _, name := range names {
			if word == "--"+name {
				return f
			}
		}
		if f.Short != 0 && word == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

func flagCandidates(node *kong.Node) []candidate {
	var rows [][2]string
	for _, f := range node.Flags {
		if !f.Hidden {
			rows = append(rows, [2]string{flagNames(f), f.Help})
		}
	}
	return optionCandidates(rows)
}

// optionCandidates returns a candidate for each option name in rows of the help.
func optionCandidates(rows [][2]string) []candidate {
	var all []candidate
	for _, row := range rows {
		for name := range strings.SplitSeq(row[0], ", ") {
			name, _, _ = strings.Cut(name, " ")
			all = append(all, candidate{name, row[1]})
		}
	}
	return all
}

func prefixed(prefix string, all []candidate) []candidate {
	for i, c := range all {
		if !strings.HasPrefix(c.word, ":") {
			all[i].word = prefix + c.word
		}
	}
	return all
}

// completion prints the script for a shell.
func (t Tool) completion(w io.Writer, shell string) error {
	script := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[shell]
	if script == "" {
		return fmt.Errorf("completion for %.40q: want bash, zsh or fish", shell)
	}
	function := "_" + strings.ReplaceAll(t.Name, "-", "_")
	_, err := io.WriteString(w, strings.NewReplacer("@tool@", t.Name, "@function@", function).Replace(script))
	return err
}

const bashScript = `# bash completion for @tool@
@function@() {
	local IFS=$' \t\n' words word answer
	# COMP_WORDS is cut at ":" and "=" too. The x keeps an empty last word.
	read -a words <<<"${COMP_LINE:0:COMP_POINT}x"
	word=${words[-1]%x}
	words[-1]=$word
	COMPREPLY=()
	while IFS= read -r answer; do
		case ${answer%%$'\t'*} in
			:files)
				compopt -o filenames 2>/dev/null
				mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "${word#--*=}") ;;
			:dirs)
				compopt -o filenames 2>/dev/null
				mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "${word#--*=}") ;;
			:commands) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -c -- "$word") ;;
			*) COMPREPLY+=("${answer%%$'\t'*}") ;;
		esac
	done < <("${words[0]}" --complete "${words[@]:1}" 2>/dev/null)
	# Only the part after the last of them is replaced.
	[[ $word != *[:=]* ]] || COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*[:=]}"}"}")
}
complete -F @function@ @tool@
`

const zshScript = `#compdef @tool@
local -a candidates
local answer name
for answer in ${(f)"$(${(Q)words[1]} --complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)"}; do
	name=${answer%%$'\t'*}
	case $name in
		:files) compset -P '--*='; _files ;;
		:dirs) compset -P '--*='; _files -/ ;;
		:commands) _command_names -e ;;
		*) candidates+=("${name//:/\\:}:${answer#*$'\t'}") ;;
	esac
done
(( ! $#candidates )) || _describe -V @tool@ candidates
`

const fishScript = `# fish completion for @tool@
function _@function@
	set -l words (commandline -opc)
	for answer in (command $words[1] --complete $words[2..] (commandline -ct) 2>/dev/null)
		switch $answer
			case ':files*'
				__fish_complete_path (string replace -r -- '^--[^=]*=' '' (commandline -ct))
			case ':dirs*'
				__fish_complete_directories (string replace -r -- '^--[^=]*=' '' (commandline -ct))
			case ':commands*'
				__fish_complete_command
			case '*'
				echo -- $answer
		end
	end
end
complete -c @tool@ -f -a '(_@function@)'
`
