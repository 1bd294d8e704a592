package linux

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Instruction is one instruction of a BPF program (bpf.h, struct bpf_insn).
type Instruction struct {
	Code      uint8
	Registers uint8 // destination in the low four bits, source in the high ones
	Offset    int16
	Immediate int32
}

// LoadDeviceProgram loads a program that filters access to devices (BPF_PROG_TYPE_CGROUP_DEVICE). [DevicePrograms]
// finds it by its name, of at most 15 letters, digits and underscores.
func LoadDeviceProgram(name string, program []Instruction) (*os.File, error) {
	license := []byte("MIT\x00") // the program calls no GPL-only function
	var pinned runtime.Pinner
	defer pinned.Unpin()
	attr := struct {
		kind, count    uint32
		program        uint64
		license        uint64
		logLevel, size uint32
		log            uint64
		version, flags uint32
		name           [unix.BPF_OBJ_NAME_LEN]byte
		ifindex, when  uint32
	}{
		kind: unix.BPF_PROG_TYPE_CGROUP_DEVICE, count: uint32(len(program)), program: address(&pinned, &program[0]),
		license: address(&pinned, &license[0]), when: unix.BPF_CGROUP_DEVICE,
	}
	copy(attr.name[:len(attr.name)-1], name)
	fd, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, fmt.Errorf("load device program: %w", err)
	}
	return os.NewFile(fd, name), nil
}

// attachment is the argument of BPF_PROG_ATTACH and BPF_PROG_DETACH.
type attachment struct {
	target, program, kind, flags uint32
	replaced                     uint32
}

// AttachDeviceProgram adds a program to those of a v2 cgroup. An access is denied if any program of the cgroup, or of
// the cgroups above it, denies it. The program lives as long as the cgroup.
func AttachDeviceProgram(group, program *os.File) error {
	attr := attachment{uint32(group.Fd()), uint32(program.Fd()), unix.BPF_CGROUP_DEVICE, unix.BPF_F_ALLOW_MULTI, 0}
	_, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return wrap("attach device program", err)
}

// DetachDeviceProgram removes a program from a cgroup.
func DetachDeviceProgram(group, program *os.File) error {
	attr := attachment{uint32(group.Fd()), uint32(program.Fd()), unix.BPF_CGROUP_DEVICE, 0, 0}
	_, err := bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return wrap("detach device program", err)
}

// maxPrograms is the limit for one cgroup (BPF_CGROUP_MAX_PROGS in the kernel).
const maxPrograms = 64

// DevicePrograms returns the programs of a cgroup by name. The caller closes them.
func DevicePrograms(group *os.File) (map[string]*os.File, error) {
	var ids [maxPrograms]uint32
	var pinned runtime.Pinner
	defer pinned.Unpin()
	attr := struct {
		target, kind, flags, attachFlags uint32
		ids                              uint64
		count, pad                       uint32
		unused                           uint64 // flags of each program
	}{target: uint32(group.Fd()), kind: unix.BPF_CGROUP_DEVICE, ids: address(&pinned, &ids[0]), count: maxPrograms}
	if _, err := bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return nil, fmt.Errorf("list device programs: %w", err)
	}
	programs := make(map[string]*os.File)
	for _, id := range ids[:min(attr.count, maxPrograms)] {
		fd, err := bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&[3]uint32{id}), 12)
		if errors.Is(err, unix.ENOENT) {
			continue // just detached
		}
		if err != nil {
			closeAll(programs)
			return nil, fmt.Errorf("open device program %d: %w", id, err)
		}
		name, err := programName(fd)
		if err != nil {
			unix.Close(int(fd))
			closeAll(programs)
			return nil, fmt.Errorf("read name of device program %d: %w", id, err)
		}
		programs[name] = os.NewFile(fd, name)
	}
	return programs, nil
}

func closeAll(programs map[string]*os.File) {
	for _, p := range programs {
		p.Close()
	}
}

// programName returns the name of a program (struct bpf_prog_info up to its name).
func programName(fd uintptr) (string, error) {
	var info struct {
		kind, id                      uint32
		tag                           uint64
		jited, translated             uint32
		jitedProgram, translatedBytes uint64
		loaded                        uint64
		uid, maps                     uint32
		mapIDs                        uint64
		name                          [unix.BPF_OBJ_NAME_LEN]byte
	}
	var pinned runtime.Pinner
	defer pinned.Unpin()
	attr := struct {
		fd, size uint32
		info     uint64
	}{uint32(fd), uint32(unsafe.Sizeof(info)), address(&pinned, &info)}
	if _, err := bpf(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(info.name[:]), nil
}

// address returns a pointer as the number that bpf(2) takes in its structures, and pins its target.
func address[T any](pinned *runtime.Pinner, p *T) uint64 {
	pinned.Pin(p)
	return uint64(uintptr(unsafe.Pointer(p)))
}

func bpf(command int, attr unsafe.Pointer, size uintptr) (uintptr, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attr), size)
		switch errno {
		case 0:
			return r, nil
		case unix.EINTR, unix.EAGAIN: // a signal arrived while the verifier ran
			continue
		}
		return 0, errno
	}
}
