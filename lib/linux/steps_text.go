package linux

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// More kinds of memory that a value can point to. The child gets a pointer; String prints the content.
const (
	isHow valueKind = iota + isBlock + 1
	isAttr
	isLimit
	isGroups
	isCapabilities
	isWords
	isFilter
)

// flagKind is how a number is printed.
type flagKind uint8

const (
	isPlain flagKind = iota
	isPlace
	isMode
	isDevice
	isOpen
	isAt
	isMount
	isTree
	isMove
	isClone
	isPrctl
	isIoctl
	isAccess
)

type flagName struct {
	bits uint64
	name string
}

// flagNames returns the names of flags, or of the values of an enumeration.
func flagNames(kind flagKind) []flagName {
	switch kind {
	case isOpen:
		return []flagName{
			{unix.O_PATH, "O_PATH"}, {unix.O_WRONLY, "O_WRONLY"}, {unix.O_RDWR, "O_RDWR"}, {unix.O_DIRECTORY, "O_DIRECTORY"},
			{unix.O_NOFOLLOW, "O_NOFOLLOW"}, {unix.O_NOCTTY, "O_NOCTTY"}, {unix.O_NONBLOCK, "O_NONBLOCK"}, {unix.O_CLOEXEC, "O_CLOEXEC"},
		}
	case isAt, isTree:
		names := []flagName{
			{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}, {unix.AT_RECURSIVE, "AT_RECURSIVE"}, {unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
		}
		if kind == isTree {
			names = append(names, flagName{unix.OPEN_TREE_CLONE, "OPEN_TREE_CLONE"}, flagName{unix.OPEN_TREE_CLOEXEC, "OPEN_TREE_CLOEXEC"})
		}
		return names
	case isMove:
		return []flagName{{unix.MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH"}, {unix.MOVE_MOUNT_T_EMPTY_PATH, "MOVE_MOUNT_T_EMPTY_PATH"}}
	case isClone:
		return []flagName{
			{unix.CLONE_NEWUSER, "CLONE_NEWUSER"}, {unix.CLONE_NEWNS, "CLONE_NEWNS"}, {unix.CLONE_NEWPID, "CLONE_NEWPID"}, {unix.CLONE_NEWNET, "CLONE_NEWNET"},
			{unix.CLONE_NEWUTS, "CLONE_NEWUTS"}, {unix.CLONE_NEWIPC, "CLONE_NEWIPC"}, {unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"}, {unix.CLONE_NEWTIME, "CLONE_NEWTIME"},
		}
	case isMount:
		return []flagName{
			{unix.MS_RDONLY, "MS_RDONLY"}, {unix.MS_NOSUID, "MS_NOSUID"}, {unix.MS_NODEV, "MS_NODEV"}, {unix.MS_NOEXEC, "MS_NOEXEC"},
			{unix.MS_SYNCHRONOUS, "MS_SYNCHRONOUS"}, {unix.MS_REMOUNT, "MS_REMOUNT"}, {unix.MS_MANDLOCK, "MS_MANDLOCK"}, {unix.MS_DIRSYNC, "MS_DIRSYNC"},
			{unix.MS_NOSYMFOLLOW, "MS_NOSYMFOLLOW"}, {unix.MS_NOATIME, "MS_NOATIME"}, {unix.MS_NODIRATIME, "MS_NODIRATIME"}, {unix.MS_BIND, "MS_BIND"},
			{unix.MS_REC, "MS_REC"}, {unix.MS_SILENT, "MS_SILENT"}, {unix.MS_UNBINDABLE, "MS_UNBINDABLE"}, {unix.MS_PRIVATE, "MS_PRIVATE"},
			{unix.MS_SLAVE, "MS_SLAVE"}, {unix.MS_SHARED, "MS_SHARED"}, {unix.MS_RELATIME, "MS_RELATIME"}, {unix.MS_STRICTATIME, "MS_STRICTATIME"},
			{unix.MS_LAZYTIME, "MS_LAZYTIME"},
		}
	case isPrctl:
		return []flagName{
			{unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"}, {unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"}, {unix.PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS"},
			{unix.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"}, {unix.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"}, {unix.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"},
		}
	case isIoctl:
		return []flagName{
			{unix.SIOCSIFFLAGS, "SIOCSIFFLAGS"}, {unix.TIOCSPTLCK, "TIOCSPTLCK"}, {unix.TIOCGPTPEER, "TIOCGPTPEER"},
			{unix.TIOCSWINSZ, "TIOCSWINSZ"}, {unix.TIOCSCTTY, "TIOCSCTTY"},
		}
	case isAccess:
		return []flagName{{unix.X_OK, "X_OK"}}
	}
	return nil
}

// String prints the plan like strace(1), one call per line. $N is a register.
func (l *Steps) String() string {
	var b strings.Builder
	doing := ""
	for i := range l.list {
		s := &l.list[i]
		if s.doing != doing {
			doing = s.doing
			fmt.Fprintf(&b, "# %s\n", doing)
		}
		b.WriteString(s.String() + "\n")
	}
	return b.String()
}

func (s *step) String() string {
	var words []string
	for _, v := range s.args {
		if v.kind != isNothing {
			words = append(words, v.String())
		}
	}
	text := s.call.name + "(" + strings.Join(words, ", ") + ")"
	if s.into != noRegister {
		text = "$" + strconv.Itoa(s.into) + " = " + text
	}
	switch {
	case s.ignoreAll:
		text += "  may fail"
	case s.ignored[0] != 0:
		text += "  may fail:"
		for _, errno := range s.ignored {
			if errno != 0 {
				text += " " + unix.ErrnoName(errno)
			}
		}
	}
	if s.onFailure > 0 {
		text += fmt.Sprintf(", else %d more", s.onFailure)
	}
	if s.onSuccess > 0 {
		text += fmt.Sprintf(", then %d more", s.onSuccess)
	}
	return text
}

// String prints a value like strace(1).
func (v Value) String() string {
	switch v.kind {
	case isRegister:
		return "$" + strconv.Itoa(int(v.n))
	case isText:
		return strconv.Quote(unix.BytePtrToString((*byte)(v.p)))
	case isHow:
		how := (*unix.OpenHow)(v.p)
		where := ", in root}"
		if how.Resolve&unix.RESOLVE_BENEATH != 0 {
			where = ", beneath}"
		}
		return "{" + flag(isOpen, how.Flags).String() + where
	case isAttr:
		attr := (*unix.MountAttr)(v.p)
		return fmt.Sprintf("{set %#x, clear %#x, propagation %s}", attr.Attr_set, attr.Attr_clr, flag(isMount, attr.Propagation))
	case isLimit:
		limit := (*unix.Rlimit)(v.p)
		return fmt.Sprintf("{%d, %d}", limit.Cur, limit.Max)
	case isGroups:
		return fmt.Sprint(unsafe.Slice((*uint32)(v.p), v.n))
	case isCapabilities:
		data := (*[2]unix.CapUserData)(v.p)
		return fmt.Sprintf("{effective %#x, permitted %#x, inheritable %#x}", join(data, func(d unix.CapUserData) uint32 { return d.Effective }),
			join(data, func(d unix.CapUserData) uint32 { return d.Permitted }), join(data, func(d unix.CapUserData) uint32 { return d.Inheritable }))
	case isWords:
		var words []string
		for _, p := range unsafe.Slice((**byte)(v.p), v.n) {
			words = append(words, strconv.Quote(unix.BytePtrToString(p)))
		}
		return "[" + strings.Join(words, " ") + "]"
	case isFilter:
		return fmt.Sprintf("{%d instructions}", (*unix.SockFprog)(v.p).Len)
	case isBlock:
		return "&"
	}
	return v.number()
}

func join(data *[2]unix.CapUserData, part func(unix.CapUserData) uint32) uint64 {
	return uint64(part(data[0])) | uint64(part(data[1]))<<32
}

func (v Value) number() string {
	n := uint64(v.n)
	switch v.flags {
	case isPlain:
		return strconv.FormatInt(int64(n), 10)
	case isPlace:
		return "AT_FDCWD"
	case isMode:
		return fmt.Sprintf("%#o", n)
	case isDevice:
		return fmt.Sprintf("%d:%d", unix.Major(n), unix.Minor(n))
	}
	names := flagNames(v.flags)
	if v.flags == isPrctl || v.flags == isIoctl { // an enumeration
		for _, f := range names {
			if f.bits == n {
				return f.name
			}
		}
		return fmt.Sprintf("%#x", n)
	}
	var words []string
	for _, f := range names {
		if f.bits != 0 && n&f.bits == f.bits {
			words = append(words, f.name)
			n &^= f.bits
		}
	}
	if n != 0 || len(words) == 0 {
		words = append(words, fmt.Sprintf("%#x", n))
	}
	return strings.Join(words, "|")
}
