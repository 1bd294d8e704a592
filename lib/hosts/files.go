package hosts

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/state"
)

// addLines and removeLines change the file of another container, with as few system calls as possible: in a network with
// hundreds of containers they dominate the time of a start and a stop. They ignore errors, because a container must not be
// able to block others through its file.

// addLines appends lines to the file of container id.
func (f Files) addLines(id string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fd, size := openFile(f.path(id), syscall.O_APPEND)
	if fd < 0 {
		return
	}
	defer syscall.Close(fd)
	text := strings.Join(lines, "\n") + "\n"
	last := []byte{'\n'}
	if size > 0 {
		_, _ = syscall.Pread(fd, last, size-1)
	}
	if last[0] != '\n' {
		text = "\n" + text
	}
	_, _ = syscall.Write(fd, []byte(text))
}

// removeLines removes the lines that end with a mark, which are consecutive, from the file of container id.
func (f Files) removeLines(id, text string) {
	fd, size := openFile(f.path(id), 0)
	if fd < 0 {
		return
	}
	defer syscall.Close(fd)
	const tail = 4096 // the last container to come is often the first to go
	text += "\n"
	for _, from := range []int64{max(size-tail, 0), 0} {
		buf := make([]byte, size-from)
		if n, err := syscall.Pread(fd, buf, from); err != nil || n < len(buf) {
			return
		}
		hit := bytes.Index(buf, []byte(text))
		first := bytes.LastIndexByte(buf[:max(hit, 0)], '\n') + 1 // of the line
		if hit < 0 || first == 0 && from > 0 {
			continue
		}
		end := first
		for line := range bytes.Lines(buf[first:]) {
			if !bytes.HasSuffix(line, []byte(text)) {
				end += copy(buf[end:], line)
			}
		}
		if end > first {
			_, _ = syscall.Pwrite(fd, buf[first:end], from+int64(first))
		}
		_ = syscall.Ftruncate(fd, from+int64(end))
		return
	}
}

// openFile opens a hosts file and returns its size. The descriptor is negative if the file must be left alone: it is
// missing, not a regular file, or too large. O_NONBLOCK makes the open fail if a process in the container holds a file
// lease.
func openFile(path string, flags int) (fd int, size int64) {
	flags |= syscall.O_RDWR | syscall.O_NOFOLLOW | syscall.O_CLOEXEC | syscall.O_NONBLOCK
	// Updating the access time would take a third of the whole call.
	fd, err := syscall.Open(path, flags|syscall.O_NOATIME, 0)
	if err == syscall.EPERM { // another user's file, and we are not in the initial user namespace
		fd, err = syscall.Open(path, flags, 0)
	}
	if err != nil {
		return -1, 0
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG || st.Size > maxHosts {
		syscall.Close(fd)
		return -1, 0
	}
	return fd, st.Size
}

// edit changes the lines of a container's file in one write. It runs under the hosts lock, so it must not wait for the
// container: a file on which a process holds a lease (fcntl(2), F_SETLEASE), or that cannot be opened, keeps its lines.
func (f Files) edit(id string, change func(lines []string) []string) error {
	fd, _ := openFile(f.path(id), 0)
	if fd < 0 {
		return nil
	}
	file := os.NewFile(uintptr(fd), f.path(id))
	defer file.Close()
	old, err := io.ReadAll(io.LimitReader(file, maxHosts+1))
	if err != nil || len(old) > maxHosts {
		return err
	}
	lines := change(slices.Collect(strings.SplitSeq(strings.TrimSuffix(string(old), "\n"), "\n")))
	text := []byte(strings.Join(lines, "\n") + "\n")
	if bytes.Equal(text, old) {
		return nil
	}
	if _, err := file.WriteAt(text, 0); err != nil || len(text) >= len(old) {
		return err
	}
	return file.Truncate(int64(len(text)))
}

// dropMarked removes our lines whose mark contains a text.
func dropMarked(lines []string, text string) []string {
	return slices.DeleteFunc(lines, func(line string) bool {
		i := strings.LastIndex(line, mark)
		return i >= 0 && strings.Contains(line[i:], text)
	})
}

// gatewayLines returns the lines for the names of --add-host NAME:host-gateway, which lib/rootfs has marked.
func gatewayLines(lines []string, gateway netip.Addr) []string {
	var out []string
	for _, line := range lines {
		if name, ok := strings.CutPrefix(line, "#host-gateway\t"); ok && gateway.IsValid() {
			out = append(out, gateway.String()+"\t"+name+mark+"gateway:")
		}
	}
	return out
}

// hostLines returns the lines of the host's own file, for containers with the host's network. Lines of localhost are left
// out: a container's file has its own.
func hostLines() []string {
	f, err := os.Open("/etc/hosts")
	if err != nil {
		return nil // the host has none
	}
	defer f.Close()
	var lines []string
	for scan := bufio.NewScanner(io.LimitReader(f, maxHosts)); scan.Scan(); {
		text, _, _ := strings.Cut(scan.Text(), "#")
		words := strings.Fields(text)
		if len(words) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(words[0])
		if err != nil || addr.IsMulticast() || slices.Contains(words[1:], "localhost") || slices.Contains(words[1:], "ip6-localhost") {
			continue
		}
		lines = append(lines, words[0]+"\t"+strings.Join(words[1:], " ")+mark+state.ModeHost+":")
	}
	return lines
}
