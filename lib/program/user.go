package program

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
)

// account is a user of the container.
type account struct {
	uid, gid uint32
	groups   []uint32 // all groups, gid first
	home     string
}

// lookupUser looks up USER[:GROUP], names or numbers, in the container's passwd and group files. Digits are always a
// number, even if a name in the files is the same. Without GROUP, the account has all groups of the user. "" is root.
func lookupUser(root *linux.Root, word string) (account, error) {
	user, group, grouped := strings.Cut(word, ":")
	if user == "" {
		user = "0"
	}
	passwd, perr := readDatabase(root, "/etc/passwd")
	groups, gerr := readDatabase(root, "/etc/group")
	a, name, err := findUser(user, passwd, perr)
	if err != nil {
		return a, err
	}
	if grouped {
		a.gid, err = findGroup(group, groups, gerr)
		a.groups = []uint32{a.gid}
		return a, err
	}
	a.groups = []uint32{a.gid}
	for _, gid := range memberships(name, groups) {
		if !slices.Contains(a.groups, gid) {
			a.groups = append(a.groups, gid)
		}
	}
	return a, nil
}

// FillUser sets the user of the process and returns the home directory. user is USER[:GROUP]; if it is empty, the
// process keeps its user.
func FillUser(p *specs.Process, root *linux.Root, user string) (home string, err error) {
	if user == "" && (p.User.UID != 0 || p.User.GID != 0) {
		user = fmt.Sprintf("%d:%d", p.User.UID, p.User.GID)
	}
	account, err := lookupUser(root, user)
	if err != nil {
		return "", err
	}
	umask := uint32(0o022)
	p.User = specs.User{UID: account.uid, GID: account.gid, AdditionalGids: account.groups, Umask: &umask}
	dropFromUser(p)
	return account.home, nil
}

// dropFromUser drops the capabilities of a non-root user, as the kernel does when root changes its user id
// (capabilities(7)). The bounding set stays, for setuid programs.
func dropFromUser(p *specs.Process) {
	if caps := p.Capabilities; caps != nil && p.User.UID != 0 {
		caps.Effective, caps.Permitted, caps.Ambient = nil, nil, nil
	}
}

// findUser finds a user by name or number, and returns the account and its name. A number does not need a line in
// passwd.
func findUser(user string, passwd [][]string, readErr error) (account, string, error) {
	number, isNumber, err := parseNumber("user", user)
	if err != nil {
		return account{}, "", err
	}
	for _, line := range passwd {
		if len(line) < 6 {
			continue
		}
		uid, ok1 := entryNumber(line[2])
		gid, ok2 := entryNumber(line[3])
		if !ok1 || !ok2 || (isNumber && uid != number) || (!isNumber && line[0] != user) {
			continue
		}
		a := account{uid: uid, gid: gid, home: line[5]}
		if a.home == "" {
			a.home = "/"
		}
		return a, line[0], nil
	}
	if isNumber {
		return account{uid: number, home: "/"}, "", nil
	}
	if readErr != nil {
		return account{}, "", fmt.Errorf("user %.80q: %w", user, readErr)
	}
	return account{}, "", fmt.Errorf("user %.80q: not in the container's /etc/passwd", user)
}

func findGroup(group string, groups [][]string, readErr error) (uint32, error) {
	number, isNumber, err := parseNumber("group", group)
	if err != nil || isNumber {
		return number, err
	}
	for _, line := range groups {
		if len(line) >= 3 && line[0] == group {
			if gid, ok := entryNumber(line[2]); ok {
				return gid, nil
			}
		}
	}
	if readErr != nil {
		return 0, fmt.Errorf("group %.80q: %w", group, readErr)
	}
	return 0, fmt.Errorf("group %.80q: not in the container's /etc/group", group)
}

// AddGroups adds supplementary groups to the process, by number or by name in the container's group file.
func AddGroups(p *specs.Process, root *linux.Root, names []string) error {
	if len(names) == 0 {
		return nil
	}
	groups, readErr := readDatabase(root, "/etc/group")
	for _, name := range names {
		gid, err := findGroup(name, groups, readErr)
		if err != nil {
			return err
		}
		if !slices.Contains(p.User.AdditionalGids, gid) {
			p.User.AdditionalGids = append(p.User.AdditionalGids, gid)
		}
	}
	return nil
}

// memberships returns the groups that list the user.
func memberships(user string, groups [][]string) []uint32 {
	var gids []uint32
	for _, line := range groups {
		if user == "" || len(line) < 4 || !slices.Contains(strings.Split(line[3], ","), user) {
			continue
		}
		if gid, ok := entryNumber(line[2]); ok {
			gids = append(gids, gid)
		}
	}
	return gids
}

// parseNumber parses the number of a user or group. Signed or out-of-range digits are an error, not a name. 2^32-1 is
// not allowed: it means "no change" to setresuid(2).
func parseNumber(what, s string) (number uint32, isNumber bool, err error) {
	digits := strings.TrimLeft(s, "+-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		if s == "" || digits == "" {
			return 0, false, fmt.Errorf("%s %.80q: want a name or a number", what, s)
		}
		return 0, false, nil
	}
	number, ok := entryNumber(s)
	if !ok {
		return 0, false, fmt.Errorf("%s %.80q: want a number from 0 to 4294967294", what, s)
	}
	return number, true, nil
}

func entryNumber(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n != math.MaxUint32
}

// maxDatabase limits the size of passwd and group, which are untrusted, in bytes.
const maxDatabase = 1 << 20

// readDatabase returns the lines of a file in the container's root, split at colons. It must be a regular file of
// limited size. Its path is resolved within the root, and a link as last element is not followed.
func readDatabase(root *linux.Root, name string) ([][]string, error) {
	file, err := root.OpenRegular(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read container's %s: %w", name, err)
	}
	defer file.Close()
	data, err := linux.ReadLimited(file, maxDatabase)
	if err != nil {
		return nil, fmt.Errorf("read container's %s: %w", name, err)
	}
	var lines [][]string
	for _, line := range strings.Split(string(data), "\n") {
		lines = append(lines, strings.Split(strings.TrimSpace(line), ":"))
	}
	return lines, nil
}
