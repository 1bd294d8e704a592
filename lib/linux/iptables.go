package linux

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The options of a raw socket that read a table of the legacy iptables, the same numbers for both families
// (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h).
const (
	getTableInfo    = 64 // IPT_SO_GET_INFO
	getTableEntries = 65 // IPT_SO_GET_ENTRIES

	tableName   = 32                // XT_TABLE_MAXNAMELEN
	infoSize    = tableName + 13*4  // struct ipt_getinfo; the last word is the size of the entries
	entriesHead = tableName + 4 + 4 /*pad*/ // struct ipt_get_entries without them
)

// LegacyTable returns the rules of a table of the legacy iptables as the kernel stores them: names of chains
// and comments stand in it as they are.
func LegacyTable(v6 bool, table string) ([]byte, error) {
	domain, level := unix.AF_INET, unix.IPPROTO_IP
	if v6 {
		domain, level = unix.AF_INET6, unix.IPPROTO_IPV6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("open raw socket: %w", err)
	}
	defer unix.Close(fd)
	for {
		info := make([]byte, infoSize)
		copy(info[:tableName-1], table)
		if err := getsockopt(fd, level, getTableInfo, info); err != nil {
			return nil, fmt.Errorf("read size of iptables table %s: %w", table, err)
		}
		size := binary.NativeEndian.Uint32(info[infoSize-4:])
		entries := make([]byte, entriesHead+int(size))
		copy(entries[:tableName-1], table)
		binary.NativeEndian.PutUint32(entries[tableName:], size)
		err := getsockopt(fd, level, getTableEntries, entries)
		if err == unix.EAGAIN { // it has another size by now
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read iptables table %s: %w", table, err)
		}
		return entries[entriesHead:], nil
	}
}

// getsockopt is getsockopt(2) with a buffer that is read and written.
func getsockopt(fd, level, option int, buf []byte) error {
	size := uint32(len(buf))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)), 0)
	runtime.KeepAlive(buf)
	if errno != 0 {
		return errno
	}
	return nil
}
