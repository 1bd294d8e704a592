package link

import "os"

// IsOwnNamespace reports whether the network namespace at path is that of this process: the host's.
func IsOwnNamespace(path string) bool { return SameFile("/proc/self/ns/net", path) }

// SameFile reports whether two paths lead to the same file, such as a namespace (namespaces(7): same device and inode).
func SameFile(a, b string) bool {
	one, err1 := os.Stat(a)
	other, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}
