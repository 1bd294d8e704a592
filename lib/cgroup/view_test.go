package cgroup

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// readmeResources is what inspect prints in the README for its run example.
const readmeResources = `{
    "CpuCfsPeriod": 200000,
    "CpuCfsQuota": 500000,
    "CpuRtPeriod": 1000000,
    "CpuRtRuntime": 950000,
    "CpuShares": 2048,
    "CpusetCpus": "1-2",
    "CpusetMems": "0",
    "MemoryLimit": 512000000,
    "MemorySoftLimit": 1024000000,
    "MemorySwapLimit": -1,
    "MemorySwappiness": 60,
    "OomKillDisable": false,
    "KernelMemoryLimit": -1,
    "KernelMemoryTCPLimit": -1,
    "BlkioWeight": 0,
    "BlkioLeafWeight": 0,
    "BlkioWeightDevice": null,
    "BlkioLeafWeightDevice": null,
    "BlkioThrottleReadBpsDevice": null,
    "BlkioThrottleWriteBpsDevice": null,
    "BlkioThrottleReadIOPSDevice": null,
    "BlkioThrottleWriteIOPSDevice": null,
    "Device": null,
    "PidsMax": 100,
    "NetClsClassid": 0,
    "NetPrioIfpriomap": null,
    "Freezer": "",
    "HugepagesLimit": null
}`

func TestView(t *testing.T) {
	l := readme()
	l.CpusetCPUs = "1-2"
	r, err := l.Resources()
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := json.MarshalIndent(View(r), "", "    "); string(got) != readmeResources {
		t.Errorf("got\n%s\nwant\n%s", got, readmeResources)
	}
}

func TestViewWithoutLimits(t *testing.T) {
	none, _ := json.Marshal(View(nil))
	defaults, _ := json.Marshal(View(&specs.LinuxResources{Devices: DefaultDevices()}))
	if !bytes.Equal(none, defaults) {
		t.Errorf("no document is shown as\n%s\nthe default devices as\n%s", none, defaults)
	}
	v := View(nil)
	if v.CpusetCpus == "" || v.CpusetMems == "" || v.PidsMax != 0 || v.MemoryLimit != -1 {
		t.Errorf("defaults: %+v", v)
	}
}

func TestViewOfDevices(t *testing.T) {
	extra := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: ptr[int64](10), Minor: ptr[int64](229), Access: "rwm"}
	v := View(&specs.LinuxResources{Devices: append(DefaultDevices(), extra), Pids: &specs.LinuxPids{Limit: ptr[int64](-1)}})
	if len(v.Device) != 1 || *v.Device[0].Minor != 229 {
		t.Errorf("additional device rules: %+v", v.Device)
	}
	if v.PidsMax != 0 {
		t.Errorf("unlimited processes are shown as %d", v.PidsMax)
	}
}

// Documents of "runc spec" deny all devices and rely on the runtime for /dev/null.
func TestDefaultDevicesAreAppended(t *testing.T) {
	usual := DefaultDevices()
	fuse := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Access: "rwm"}
	for name, rules := range map[string][]specs.LinuxDeviceCgroup{
		"none": nil, "all denied": usual[:1], "one allowed": {usual[0], fuse}, "ours": append(DefaultDevices(), fuse),
	} {
		got := withDefaultDevices(rules)
		if again := withDefaultDevices(got); !reflect.DeepEqual(got, again) {
			t.Errorf("%s: appended twice: %v", name, again)
		}
		if len(rules) > 0 && !reflect.DeepEqual(got[:len(rules)], rules) {
			t.Errorf("%s: the document's own are lost: %v", name, got)
		}
		if !slices.ContainsFunc(got, func(d specs.LinuxDeviceCgroup) bool { return reflect.DeepEqual(d, usual[3]) }) {
			t.Errorf("%s: no /dev/null: %v", name, got)
		}
	}
}
