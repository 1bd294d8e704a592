package cgroup

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "write the table of limits into doc/limits.md")

// samples returns a value for each option. Those with a block device are in the document's form, because the
// host need not have the device.
func samples() map[string]any {
	class := ClassID(1)
	return map[string]any{
		"cpu-cfs-period": Limits{CPUPeriod: ptr[uint64](50000)}, "cpu-cfs-quota": Limits{CPUQuota: ptr[int64](50000)},
		"cpu-rt-period": Limits{CPURTPeriod: ptr[uint64](1000000)}, "cpu-rt-runtime": Limits{CPURTRuntime: ptr[int64](1000)},
		"cpu-shares": Limits{CPUShares: ptr[uint64](2048)}, "cpuset-cpus": Limits{CpusetCPUs: "0"}, "cpuset-mems": Limits{CpusetMems: "0"},
		"memory-limit": Limits{Memory: ptr[Size](1 << 30)}, "memory-soft-limit": Limits{MemorySoft: ptr[Size](1 << 30)},
		"memory-swap-limit": `{"memory":{"limit":100,"swap":130}}`, "memory-swappiness": Limits{Swappiness: ptr[uint64](10)},
		"oom-kill-disable": Limits{NoOOMKill: true}, "kernel-memory-limit": Limits{Kernel: ptr[Size](1 << 30)},
		"kernel-memory-tcp-limit": Limits{KernelTCP: ptr[Size](1 << 30)}, "pids-max": Limits{PidsMax: ptr[int64](100)},
		"cpus": Limits{CPUs: ptr[CPUs](1500)}, "blkio-weight": Limits{Weight: ptr[uint16](300)}, "blkio-leaf-weight": Limits{LeafWeight: ptr[uint16](300)},
		"blkio-weight-device":      `{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":20}]}}`,
		"blkio-leaf-weight-device": `{"blockIO":{"weightDevice":[{"major":8,"minor":0,"leafWeight":20}]}}`,
		"device-read-bps":          `{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}]}}`,
		"device-write-bps":         `{"blockIO":{"throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":1}]}}`,
		"device-read-iops":         `{"blockIO":{"throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":1}]}}`,
		"device-write-iops":        `{"blockIO":{"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":1}]}}`,
		"hugepages-limit":          Limits{Hugepages: []Hugepages{{Pagesize: "2MB", Limit: 1 << 30}}},
		"net-cls-classid":          Limits{NetClass: &class}, "net-prio-ifpriomap": Limits{NetPriority: []InterfacePriority{{Name: "lo", Priority: 5}}},
		"device-cgroup-rule": `{"devices":[{"allow":true,"type":"c","major":10,"minor":229,"access":"rwm"}]}`,
	}
}

// The table in doc/limits.md shows for each option the files that are written on v1 and v2, or the error. It must match
// the plans; `go test ./lib/cgroup -run TestTable -update` rewrites it.
func TestTable(t *testing.T) {
	const begin, end = "| option | name in docker and runc | cgroup v1 | cgroup v2 |\n", "\n\n"
	data, err := os.ReadFile("../../doc/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	from := strings.Index(text, begin)
	if from < 0 {
		t.Fatalf("doc/limits.md has no table with the header %s", begin)
	}
	length := strings.Index(text[from:], end) + 1
	got, want := text[from:from+length], table(t, begin)
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("the table of doc/limits.md does not match (-update rewrites it):\n%s", want)
	}
	if err := os.WriteFile("../../doc/limits.md", []byte(text[:from]+want+text[from+length:]), 0o644); err != nil {
		t.Fatal(err)
	}
}

func table(t *testing.T, header string) string {
	t.Helper()
	var v1 trees
	for _, name := range []string{"cpu", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb", "net_cls", "net_prio"} {
		v1 = append(v1, &tree{1, "/sys/fs/cgroup/" + name, []string{name}})
	}
	v2 := trees{{2, "/sys/fs/cgroup", v2Host()[0].controllers}}
	rows := header + "|---|---|---|---|\n"
	options := samples()
	for _, tag := range append(tags(reflect.TypeFor[Limits]()), tags(reflect.TypeFor[Devices]())...) {
		name := tag.Get("name")
		option, ok := options[name]
		if !ok {
			t.Errorf("no sample of --%s", name)
			continue
		}
		var docker []string
		for word := range strings.SplitSeq(tag.Get("docker"), ",") {
			if word != "" {
				docker = append(docker, "`"+strings.Repeat("-", min(len(word), 2))+word+"`")
			}
		}
		rows += fmt.Sprintf("| `--%s` | %s | %s | %s |\n", name, strings.Join(docker, ", "), outcome(t, v1, name, option), outcome(t, v2, name, option))
	}
	return rows
}

func tags(of reflect.Type) (all []reflect.StructTag) {
	for i := range of.NumField() {
		all = append(all, of.Field(i).Tag)
	}
	return all
}

// outcome returns a cell of the table: the files that are written, or the error.
func outcome(t *testing.T, ts trees, name string, option any) string {
	t.Helper()
	var r specs.LinuxResources
	var err error
	switch o := option.(type) {
	case Limits:
		err = o.merge(&r)
	case string:
		err = json.Unmarshal([]byte(o), &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := makePlan(ts, plainHost(), &r, nil)
	if err != nil {
		_, reason, _ := strings.Cut(err.Error(), ": ")
		return "error: " + reason
	}
	if p.program != nil {
		return "a BPF program"
	}
	own := func(s step) bool { return s.flag == "--"+name } // the sample of the swap limit also sets the memory limit
	var files []string
	for _, s := range p.steps {
		if !own(s) && slices.ContainsFunc(p.steps, own) {
			continue
		}
		if file := "`" + s.file + "`"; !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return strings.Join(files, ", ")
}
