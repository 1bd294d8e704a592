package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// These tests measure the effect of limits. They compare times with those of the same program without the limit, or
// with the kernel's counters, because test hosts are busy.

// spin keeps a cpu busy until it is killed.
const spin = "while :; do :; done"

// startIn starts a command in the cgroup and kills it when the test ends.
func startIn(t *testing.T, g *Group, argv ...string) *exec.Cmd {
	t.Helper()
	cmd := commandIn(t, g, argv...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for pids := []int(nil); len(pids) == 0; pids, _ = g.Procs() {
		time.Sleep(time.Millisecond)
	}
	return cmd
}

func cpuStats(t *testing.T, g *Group) CPUStats {
	t.Helper()
	s, err := g.Stats()
	if err != nil || s.CPU == nil {
		t.Fatalf("stats: %+v, %v", s.CPU, err)
	}
	return *s.CPU
}

// near reports whether got is within a tenth of want.
func near(got, want float64) bool { return got > 0.9*want && got < 1.1*want }

// In a second whose periods were all throttled, usage per period is the quota. On a busy host other seconds have
// periods that the group did not use up, and are not counted.
func TestQuotaLimitsUsage(t *testing.T) {
	const quota = 10 * time.Millisecond
	g := realGroup(t, Limits{CPUPeriod: ptr[uint64](50000), CPUQuota: ptr(quota.Microseconds())})
	requireController(t, g, "cpu")
	startIn(t, g, "sh", "-c", spin)
	time.Sleep(200 * time.Millisecond)
	var each time.Duration
	for range 30 {
		before := cpuStats(t, g)
		time.Sleep(time.Second)
		now := cpuStats(t, g)
		passed := now.Periods - before.Periods
		if passed == 0 || passed != now.ThrottledPeriods-before.ThrottledPeriods {
			continue
		}
		if each = time.Duration((now.Usage - before.Usage) / passed); near(float64(each), float64(quota)) {
			return
		}
	}
	t.Errorf("usage per period: %v, want %v", each, quota)
}

// Two cgroups on one cpu divide its time in the ratio of their shares.
func TestSharesDivideCPU(t *testing.T) {
	online, err := onlineCPUs()
	if err != nil {
		t.Fatal(err)
	}
	last := online[strings.LastIndexAny(online, ",-")+1:]
	few := realGroup(t, Limits{CpusetCPUs: last, CPUShares: ptr[uint64](1024)})
	many := groupIn(t, few.base, Limits{CpusetCPUs: last, CPUShares: ptr[uint64](3072)})
	// On v2 the ratio is that of the weights, which have another scale.
	want := 3.0
	if requireController(t, few, "cpu").version == 2 {
		want = float64(weight(3072)) / float64(weight(1024))
	}
	startIn(t, few, "sh", "-c", spin)
	startIn(t, many, "sh", "-c", spin)
	time.Sleep(300 * time.Millisecond)
	few0, many0 := cpuStats(t, few).Usage, cpuStats(t, many).Usage
	var ratio float64
	for range 5 { // measure longer if the host was busy
		time.Sleep(2 * time.Second)
		few1, many1 := cpuStats(t, few).Usage, cpuStats(t, many).Usage
		if ratio = float64(many1-many0) / float64(few1-few0); near(ratio, want) {
			return
		}
	}
	t.Errorf("ratio of cpu time %.2f, want %.2f", ratio, want)
}

// A process is killed when it exceeds memory plus swap, and uses swap below that.
func TestSwapLimitKills(t *testing.T) {
	const mb = 1 << 20
	fill := func(swap Size) (killed bool) {
		g := realGroup(t, Limits{Memory: ptr[Size](24 * mb), MemorySwap: ptr(swap)})
		cmd := commandIn(t, g, "sh", "-c", "head -c 32m /dev/urandom | tr '\\n' x | tail -n 1 | wc -c")
		_ = cmd.Run() // only OOM kills count
		return g.OOMKills() > 0
	}
	requireSwapLimit(t)
	if !fill(24 * mb) {
		t.Error("32 MB fit into 24 MB without swap")
	}
	if swaps, err := os.ReadFile("/proc/swaps"); err != nil || strings.Count(string(swaps), "\n") < 2 {
		t.Log("this host has no swap: the limit with swap is not tested")
		return
	}
	if fill(96 * mb) {
		t.Error("32 MB do not fit into 24 MB and 72 MB of swap")
	}
}

func requireSwapLimit(t *testing.T) {
	t.Helper()
	g := realGroup(t, Limits{Memory: ptr[Size](24 << 20)})
	tr := requireController(t, g, "memory")
	for _, file := range []string{memsw, "memory.swap.max"} {
		if _, err := os.Stat(filepath.Join(tr.dir(g.Path), file)); err == nil {
			return
		}
	}
	t.Skip("this kernel does not count swap: boot with swapaccount=1")
}

// The soft limit has no effect while the host has free memory, so the test only reads it back.
func TestSoftLimitIsSet(t *testing.T) {
	g := realGroup(t, Limits{Memory: ptr[Size](64 << 20), MemorySoft: ptr[Size](32 << 20)})
	file := "memory.soft_limit_in_bytes"
	if requireController(t, g, "memory").version == 2 {
		file = "memory.low"
	}
	checkFiles(t, g.trees.find("memory").dir(g.Path), file+"=33554432")
	if v := g.View(nil); v.MemorySoftLimit != 32<<20 || v.MemoryLimit != 64<<20 {
		t.Errorf("shown: %+v", v)
	}
}

// disk creates a loop device, which is removed when the test ends.
func disk(t *testing.T) string {
	t.Helper()
	requireRoot(t)
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 64<<20); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		t.Fatalf("losetup: %v", err)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v: %s", err, out)
		}
	})
	return device
}

// Reads and writes past the cache take as long as the limit of bytes or operations in a second makes them.
func TestThrottlesLimitRates(t *testing.T) {
	device := disk(t)
	for _, c := range []struct {
		name   string
		limits Limits
		argv   []string // takes 1.5 s at the limited rate
	}{
		{"read bps", Limits{ReadBps: []PerDevice{{device, 4 << 20}}}, []string{"if=" + device, "of=/dev/null", "iflag=direct", "bs=256k", "count=24"}},
		{"write bps", Limits{WriteBps: []PerDevice{{device, 4 << 20}}}, []string{"if=/dev/zero", "of=" + device, "oflag=direct", "bs=256k", "count=24"}},
		{"read iops", Limits{ReadIOPS: []PerDevice{{device, 50}}}, []string{"if=" + device, "of=/dev/null", "iflag=direct", "bs=4k", "count=75"}},
		{"write iops", Limits{WriteIOPS: []PerDevice{{device, 50}}}, []string{"if=/dev/zero", "of=" + device, "oflag=direct", "bs=4k", "count=75"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := realGroup(t, c.limits)
			block := specs.LinuxDeviceCgroup{Allow: true, Type: "b", Access: "rw"}
			if err := g.Set(&specs.LinuxResources{Devices: append(DefaultDevices(), block)}); err != nil {
				t.Fatal(err)
			}
			const want = 1.5 // seconds
			free := timed(t, nil, c.argv)
			for try := 0; ; try++ {
				took := timed(t, g, c.argv)
				switch late := took > 1.1*want+free; {
				case took < 0.9*want:
					t.Errorf("%.2f s, want %.2f", took, want)
				case late && try < 12:
					continue // the host may be busy: try again
				case late:
					t.Errorf("%.2f s in every try, want %.2f plus %.2f, the time without a limit", took, want, free)
				}
				return
			}
		})
	}
}

// timed returns how many seconds dd takes in the cgroup; without one if g is nil.
func timed(t *testing.T, g *Group, argv []string) float64 {
	t.Helper()
	argv = append([]string{"dd", "status=none"}, argv...)
	cmd := exec.Command(argv[0], argv[1:]...)
	if g != nil {
		cmd = commandIn(t, g, argv...)
	}
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("dd: %v: %s", err, out)
	}
	return time.Since(start).Seconds()
}

// Opening a device that is not allowed returns EPERM, even through a node that the test created.
func TestDeniedDeviceIsEPERM(t *testing.T) {
	g := realGroup(t, Limits{})
	node := filepath.Join(t.TempDir(), "kmsg")
	if err := syscall.Mknod(node, syscall.S_IFCHR|0o600, 1<<8|11); err != nil {
		t.Fatal(err)
	}
	out, err := commandIn(t, g, "strace", "-qq", "-e", "trace=openat", "-e", "signal=none", "cat", node).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "kmsg\", O_RDONLY) = -1 EPERM") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := commandIn(t, g, "cat", "/dev/null").CombinedOutput(); err != nil {
		t.Errorf("/dev/null: %v: %s", err, out)
	}
}

// Class and priority of packets are set if v1's network controllers are mounted.
func TestNetworkControllers(t *testing.T) {
	requireRoot(t)
	if os.Getenv(netEnv) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		// In a private mount namespace, so that no other process creates cgroups there.
		cmd := exec.Command("unshare", "--mount", self, "-test.run=^TestNetworkControllers$", "-test.v")
		cmd.Env = append(os.Environ(), netEnv+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	dir := t.TempDir()
	if err := syscall.Mount("cgroup", dir, "cgroup", 0, "net_cls,net_prio"); err != nil {
		t.Fatalf("mount net_cls,net_prio: %v", err)
	}
	hostTrees = sync.OnceValues(readTrees) // read the mount table again
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	t.Run("in a cgroup", func(t *testing.T) {
		class := ClassID(0x100001)
		g := realGroup(t, Limits{NetClass: &class, NetPriority: []InterfacePriority{{Name: "lo", Priority: 5}}})
		checkFiles(t, filepath.Join(dir, g.Path), "net_cls.classid=1048577")
		if text := g.current(g.trees.find("net_prio"), "net_prio.ifpriomap"); !strings.Contains(text, "lo 5") {
			t.Errorf("priorities: %q", text)
		}
		v := g.View(nil)
		if v.Freezer != "" {
			t.Errorf("shown: %+v", v)
		}
	})
}

const netEnv = "CGROUP_TEST_NET"

// A block I/O weight is refused unless a device uses bfq.
func TestBlockWeight(t *testing.T) {
	device := disk(t)
	weights := Limits{Weight: ptr[uint16](300), WeightDevice: []PerDevice{{device, 200}}}
	scheduler := filepath.Join("/sys/block", filepath.Base(device), "queue/scheduler")
	// A loop device keeps its scheduler when it is detached, so an earlier test may have left one.
	if err := os.WriteFile(scheduler, []byte("none"), 0); err != nil {
		t.Fatal(err)
	}
	if err := weights.Check(); err == nil || !strings.Contains(err.Error(), "echo bfq >/sys/dev/block/7:") {
		t.Errorf("weights without bfq: %v", err)
	}
	if err := os.WriteFile(scheduler, []byte("bfq"), 0); err != nil {
		t.Fatalf("this kernel has no bfq: %v", err)
	}
	t.Cleanup(func() { os.WriteFile(scheduler, []byte("none"), 0) })
	g := realGroup(t, weights)
	tr, name := g.trees.find("blkio"), "blkio"
	if tr == nil {
		tr, name = g.trees.find("io"), "io"
	}
	text := g.current(tr, name+".bfq.weight") + g.current(tr, "blkio.bfq.weight_device")
	if !strings.Contains(text, "300") || !strings.Contains(text, " 200") {
		t.Errorf("weights: %q", text)
	}
}

// A thousand cgroups, created and removed in parallel, leave nothing in any hierarchy.
func TestThousandGroupsLeaveNothing(t *testing.T) {
	requireRoot(t)
	many := 1000
	if testing.Short() {
		many = 100
	}
	top := "/mydocker-test-thousand-" + strconv.Itoa(os.Getpid())
	work := make(chan int)
	errs := make(chan error, many)
	for range runtime.NumCPU() {
		go func() {
			for i := range work {
				errs <- func() error {
					g, err := Open(fmt.Sprintf("%s/%012x", top, i))
					if err != nil {
						return err
					}
					g.base = top
					r, err := Limits{Memory: ptr[Size](32 << 20), PidsMax: ptr[int64](20), CPUShares: ptr[uint64](100)}.Resources()
					if err != nil {
						return err
					}
					if _, err := g.create(r); err != nil {
						return err
					}
					return g.Remove(t.Context())
				}()
			}
		}()
	}
	for i := range many {
		work <- i
	}
	close(work)
	for range many {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	checkGone(t, top)
}
