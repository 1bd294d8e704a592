package cgroup

import (
	"encoding/json"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func ptr[T any](v T) *T { return &v }

// readme are the limits of the README's run example.
func readme() Limits {
	return Limits{
		CPUPeriod: ptr[uint64](200000), CPUQuota: ptr[int64](500000), CPUShares: ptr[uint64](2048),
		CpusetCPUs: "0", CpusetMems: "0", // the README has cpus 1-2, which not every host has
		Memory: ptr[Size](512000000), MemorySoft: ptr[Size](1024000000), PidsMax: ptr[int64](100),
	}
}

func TestCheckValues(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		want   string // in the error; "" for none
	}{
		{Limits{}, ""},
		{readme(), ""}, // a soft limit above the hard one and 2.5 cpus are fine
		{Limits{CPUPeriod: ptr[uint64](999)}, "--cpu-cfs-period 999"},
		{Limits{CPUPeriod: ptr[uint64](1000001)}, "--cpu-cfs-period"},
		{Limits{CPUQuota: ptr[int64](-1)}, ""},
		{Limits{CPUQuota: ptr[int64](0)}, "--cpu-cfs-quota 0"},
		{Limits{CPURTPeriod: ptr[uint64](0)}, "--cpu-rt-period"},
		{Limits{CPURTRuntime: ptr[int64](1000001)}, "--cpu-rt-runtime"},
		{Limits{CPURTRuntime: ptr[int64](1000001), CPURTPeriod: ptr[uint64](2000000)}, ""},
		{Limits{CPUShares: ptr[uint64](1)}, "--cpu-shares 1"},
		{Limits{CPUShares: ptr[uint64](262145)}, "--cpu-shares"},
		{Limits{CpusetCPUs: "8191"}, "the host has no cpu 8191"},
		{Limits{CpusetCPUs: "0-9999999"}, "--cpuset-cpus"},
		{Limits{CpusetCPUs: "1-0"}, "want a list"},
		{Limits{CpusetCPUs: "0,"}, "want a list"},
		{Limits{CpusetMems: "8000"}, "no memory node 8000"},
		{Limits{Memory: ptr[Size](1024)}, "--memory-limit 1024"},
		{Limits{Memory: ptr[Size](0)}, "--memory-limit 0"},
		{Limits{Memory: ptr(Unlimited), MemorySoft: ptr(Unlimited), MemorySwap: ptr(Unlimited)}, ""},
		{Limits{Memory: ptr[Size](20 << 20), MemorySwap: ptr[Size](10 << 20)}, "less than --memory-limit"},
		{Limits{Memory: ptr[Size](20 << 20), MemorySwap: ptr[Size](20 << 20)}, ""},
		{Limits{MemorySwap: ptr[Size](20 << 20)}, "needs --memory-limit"},
		{Limits{Swappiness: ptr[uint64](101)}, "--memory-swappiness"},
		{Limits{PidsMax: ptr[int64](0)}, ""},
		{Limits{PidsMax: ptr[int64](-2)}, "--pids-max"},
		{Limits{CPUShares: ptr[uint64](1), PidsMax: ptr[int64](-2)}, "--pids-max"}, // reports every error
	} {
		err := c.limits.checkValues()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", c.limits, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: %v, want an error with %q", c.limits, err, c.want)
		}
	}
}

func TestResources(t *testing.T) {
	r, err := readme().Resources()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Devices) != len(DefaultDevices()) || r.Devices[0].Allow {
		t.Errorf("devices: %+v", r.Devices)
	}
	r.Devices = nil
	got, _ := json.Marshal(r)
	const want = `{"memory":{"limit":512000000,"reservation":1024000000},` +
		`"cpu":{"shares":2048,"quota":500000,"period":200000,"cpus":"0","mems":"0"},"pids":{"limit":100}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r, _ = Limits{}.Resources()
	if r.CPU != nil || r.Memory != nil || r.Pids != nil {
		t.Errorf("resources without limits: %+v", r)
	}
}

// merge keeps the document's limits that no option replaces.
func TestMerge(t *testing.T) {
	r := specs.LinuxResources{
		CPU:     &specs.LinuxCPU{Shares: ptr[uint64](5), Cpus: "0"},
		Memory:  &specs.LinuxMemory{Swap: ptr[int64](9)},
		Unified: map[string]string{"memory.high": "1"},
	}
	before := r.CPU
	Limits{CPUShares: ptr[uint64](7), PidsMax: ptr[int64](0)}.merge(&r)
	got, _ := json.Marshal(r)
	const want = `{"memory":{"swap":9},"cpu":{"shares":7,"cpus":"0"},"pids":{"limit":-1},"unified":{"memory.high":"1"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if *before.Shares != 5 {
		t.Error("merge changed the caller's document")
	}
}
