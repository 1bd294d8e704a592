package cgroup

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Hierarchies of hosts with v1, with v2 and with both.
func v1Host() trees {
	var ts trees
	for _, name := range []string{"cpu", "cpuset", "memory", "devices", "freezer", "blkio", "pids"} {
		ts = append(ts, &tree{1, "/v1/" + name, []string{name}})
	}
	return append(ts, &tree{2, "/v2", []string{"hugetlb"}})
}

func v2Host() trees {
	return trees{{2, "/v2", []string{"cpu", "cpuset", "memory", "io", "pids", "hugetlb", "rdma"}}}
}

func hybridHost() trees {
	return trees{{1, "/v1/memory", []string{"memory"}}, {2, "/v2", []string{"cpu", "pids"}}}
}

// plainHost has one disk, 8:0, which is scheduled by bfq.
func plainHost() host {
	return host{
		bfq:    func(device string) bool { return device == "" || device == "8:0" },
		ioCost: func(*tree, string) bool { return false },
	}
}

func TestPlan(t *testing.T) {
	v1, v2, hybrid := v1Host(), v2Host(), hybridHost()
	for _, c := range []struct {
		name string
		host trees
		doc  string // linux.resources
		want string // the steps as [written] shows them, or "error: " and a part of the error
	}{
		{"nothing", v2, `{}`, ``},
		{"readme v1", v1, `{"cpu":{"shares":2048,"quota":500000,"period":200000,"cpus":"1-2","mems":"0"},
			"memory":{"limit":512000000,"reservation":1024000000},"pids":{"limit":100}}`,
			`cpuset/cpuset.cpus=1-2 cpuset/cpuset.mems=0 cpu/cpu.shares=2048 cpu/cpu.cfs_period_us=200000 cpu/cpu.cfs_quota_us=500000
			memory/memory.limit_in_bytes=512000000 memory/memory.soft_limit_in_bytes=1024000000 pids/pids.max=100`},
		{"readme v2", v2, `{"cpu":{"shares":2048,"quota":500000,"period":200000,"cpus":"1-2","mems":"0"},
			"memory":{"limit":512000000,"reservation":1024000000},"pids":{"limit":100}}`,
			`v2/cpuset.cpus=1-2 v2/cpuset.mems=0 v2/cpu.weight=174 v2/cpu.max=500000_200000
			v2/memory.max=512000000 v2/memory.low=1024000000 v2/pids.max=100`},
		{"hybrid: controllers of both", hybrid, `{"cpu":{"quota":50000},"memory":{"limit":9999},"pids":{"limit":-1}}`,
			`v2/cpu.max=50000 memory/memory.limit_in_bytes=9999 v2/pids.max=max`},
		{"unlimited v1", v1, `{"memory":{"limit":-1,"swap":-1,"reservation":-1,"kernel":-1},"cpu":{"quota":-1},"pids":{"limit":0}}`,
			`cpu/cpu.cfs_quota_us=-1 memory/memory.limit_in_bytes=-1 memory/memory.memsw.limit_in_bytes=-1
			memory/memory.soft_limit_in_bytes=-1 memory/memory.kmem.limit_in_bytes=-1 pids/pids.max=max`},
		{"unlimited v2: the soft limit is 0", v2, `{"memory":{"limit":-1,"swap":-1,"reservation":-1,"kernel":-1},"cpu":{"quota":-1}}`,
			`v2/cpu.max=max v2/memory.max=max v2/memory.swap.max=max v2/memory.low=0`},
		{"swap v2 excludes memory", v2, `{"memory":{"limit":100,"swap":130}}`, `v2/memory.max=100 v2/memory.swap.max=30`},
		{"swap v2 needs the limit", v2, `{"memory":{"swap":130}}`, `error: --memory-swap-limit: limits memory plus swap: give --memory-limit too`},
		{"swap v2 below the limit", v2, `{"memory":{"limit":100,"swap":50}}`, `error: less than the memory limit`},
		{"period alone v2", v2, `{"cpu":{"period":50000}}`, `v2/cpu.max=max_50000`},
		{"other tools' values for defaults", v2, `{"cpu":{"shares":0,"quota":0,"period":0,"realtimeRuntime":0},"memory":{"disableOOMKiller":false},"network":{}}`, ``},
		{"docker update of one limit, v1", v1, `{"blockIO":{"weight":0},"cpu":{"shares":0,"period":0,"quota":0},
			"memory":{"limit":67108864,"reservation":0,"kernel":0,"kernelTCP":0,"swap":0}}`, `memory/memory.limit_in_bytes=67108864`},
		{"docker update of no limit, v2", v2, `{"memory":{"limit":0,"reservation":0,"kernel":0,"swap":0}}`, ``},
		{"realtime v1", v1, `{"cpu":{"realtimePeriod":1000000,"realtimeRuntime":1000}}`, `cpu/cpu.rt_period_us=1000000 cpu/cpu.rt_runtime_us=1000`},
		{"realtime v2", v2, `{"cpu":{"realtimeRuntime":1000}}`, `error: --cpu-rt-runtime: cgroup v2 has no realtime budget: `},
		{"swappiness v1", v1, `{"memory":{"swappiness":0,"disableOOMKiller":true,"kernelTCP":5}}`,
			`memory/memory.kmem.tcp.limit_in_bytes=5 memory/memory.swappiness=0 memory/memory.oom_control=1`},
		{"swappiness v2", v2, `{"memory":{"swappiness":60}}`, `error: --memory-swappiness: cgroup v2 does not support it: `},
		{"oom v2", v2, `{"memory":{"disableOOMKiller":true}}`, `error: --oom-kill-disable: `},
		{"kernel memory v2", v2, `{"memory":{"kernel":5}}`, `error: --kernel-memory-limit: `},
		{"not mounted", hybrid, `{"cpu":{"cpus":"0"}}`, `error: --cpuset-cpus: no cgroup hierarchy has the cpuset controller: mount -t cgroup -o cpuset`},
		{"not mounted, unlimited", trees{{1, "/v1/cpu", []string{"cpu"}}}, `{"pids":{"limit":-1},"memory":{"limit":-1}}`, ``},
		{"devices v1", v1, `{"devices":[{"allow":false},{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"},{"allow":true,"type":"b"}]}`,
			`devices/devices.deny=a devices/devices.allow=c_1:3_rwm devices/devices.allow=b_*:*_rwm`},
		{"block io v1", v1, `{"blockIO":{"weight":50,"weightDevice":[{"major":8,"minor":0,"weight":20}],"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":7}]}}`,
			`blkio/blkio.bfq.weight=50 blkio/blkio.bfq.weight_device=8:0_20 blkio/blkio.throttle.read_bps_device=8:0_7`},
		{"block io v2", v2, `{"blockIO":{"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":7}],"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":0}]}}`,
			`v2/io.max=8:0_rbps=max v2/io.max=8:0_wiops=7`},
		{"leaf weight", v1, `{"blockIO":{"leafWeight":50}}`, `error: --blkio-leaf-weight: kernels since 5.0 have none: use --blkio-weight`},
		{"hugepages", v1, `{"hugepageLimits":[{"pageSize":"2MB","limit":4}]}`, `v2/hugetlb.2MB.max=4`},
		{"hugepages path", v1, `{"hugepageLimits":[{"pageSize":"../x","limit":4}]}`, `error: page size`},
		{"network", v1, `{"network":{"classID":1}}`, `error: net_cls`},
		{"rdma", v2, `{"rdma":{"mlx":{"hcaHandles":3,"hcaObjects":4}}}`, `v2/rdma.max=mlx_hca_handle=3_hca_object=4`},
		{"unified", v2, `{"unified":{"memory.high":"5","cgroup.max.depth":"2"}}`, `v2/cgroup.max.depth=2 v2/memory.high=5`},
		{"unified path", v2, `{"unified":{"../memory.high":"5"}}`, `error: is not a cgroup file`},
		{"unified without the controller", v1, `{"unified":{"memory.high":"5"}}`, `error: the memory controller is not in /v2/cgroup.controllers`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r specs.LinuxResources
			if err := json.Unmarshal([]byte(c.doc), &r); err != nil {
				t.Fatal(err)
			}
			p, err := makePlan(c.host, plainHost(), &r, nil)
			if part, wrong := strings.CutPrefix(c.want, "error: "); wrong {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%v, want an error with %q", err, part)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Join(strings.Fields(c.want), " ")
			if got := written(p); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// written formats the steps of a plan as "hierarchy/file=value", with _ for spaces.
func written(p *plan) string {
	var words []string
	for _, s := range p.steps {
		words = append(words, filepath.Base(s.tree.mount)+"/"+s.file+"="+strings.ReplaceAll(s.value, " ", "_"))
	}
	return strings.Join(words, " ")
}

// The present limits of a cgroup decide the order of writes, and whether a limit is refused.
func TestPlanForExistingGroup(t *testing.T) {
	now := func(_ *tree, file string) string {
		return map[string]string{memsw: "1000", "memory.max": "500", "cpu.max": "7000 100000"}[file]
	}
	for _, c := range []struct {
		name string
		host trees
		doc  specs.LinuxResources
		want string
	}{
		{"raise", v1Host(), specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](2000), Swap: ptr[int64](3000)}},
			"memory/memory.memsw.limit_in_bytes=3000 memory/memory.limit_in_bytes=2000"},
		{"lower", v1Host(), specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](200), Swap: ptr[int64](300)}},
			"memory/memory.limit_in_bytes=200 memory/memory.memsw.limit_in_bytes=300"},
		{"lift", v1Host(), specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](-1), Swap: ptr[int64](-1)}},
			"memory/memory.memsw.limit_in_bytes=-1 memory/memory.limit_in_bytes=-1"},
		{"lift memory alone", v1Host(), specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](-1)}},
			"memory/memory.memsw.limit_in_bytes=-1 memory/memory.limit_in_bytes=-1"},
		{"period keeps the quota", v2Host(), specs.LinuxResources{CPU: &specs.LinuxCPU{Period: ptr[uint64](50000)}}, "v2/cpu.max=7000_50000"},
		{"swap beside the present limit", v2Host(), specs.LinuxResources{Memory: &specs.LinuxMemory{Swap: ptr[int64](800)}}, "v2/memory.swap.max=300"},
	} {
		p, err := makePlan(c.host, plainHost(), &c.doc, now)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := written(p); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	above := &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr[int64](2000)}}
	if _, err := makePlan(v1Host(), plainHost(), above, now); err == nil || !strings.Contains(err.Error(), "--memory-swap-limit too") {
		t.Errorf("a limit above memory plus swap: %v", err)
	}
}

func TestWeight(t *testing.T) {
	for shares, want := range map[uint64]uint64{0: 1, 2: 1, 3: 2, 512: 59, 1024: 100, 2048: 174, 262144: 10000, 1 << 40: 10000} {
		if got := weight(shares); got != want {
			t.Errorf("%d shares: weight %d, want %d", shares, got, want)
		}
	}
}
