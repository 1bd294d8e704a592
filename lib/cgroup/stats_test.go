package cgroup

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

func TestStats(t *testing.T) {
	v1, v2 := t.TempDir(), t.TempDir()
	writeFiles(t, filepath.Join(v1, "g"),
		"cpu.stat=nr_periods 4\nnr_throttled 2\nthrottled_time 900\n", "cpuacct.usage=70\n", "cpuacct.usage_user=50\n", "cpuacct.usage_sys=20\n",
		"memory.usage_in_bytes=4096\n", "memory.max_usage_in_bytes=8192\n", "memory.limit_in_bytes=9223372036854771712\n",
		"memory.stat=cache 1024\nswap 5\ntotal_inactive_file 512\n", "memory.oom_control=oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
		"pids.current=2\n", "pids.max=100\n", "freezer.state=FROZEN\n",
		"blkio.throttle.io_service_bytes_recursive=8:0 Read 10\n8:0 Write 20\n8:16 Read 1\n8:0 Total 30\nTotal 31\n",
		"blkio.throttle.io_serviced_recursive=8:0 Read 3\n8:0 Write 4\nTotal 7\n")
	writeFiles(t, filepath.Join(v2, "g"),
		"cpu.stat=usage_usec 70\nuser_usec 50\nsystem_usec 20\nnr_periods 4\nnr_throttled 2\nthrottled_usec 9\n",
		"memory.current=4096\n", "memory.peak=8192\n", "memory.max=16384\n", "memory.stat=anon 1\nfile 1024\ninactive_file 512\n", "memory.swap.current=5\n",
		"memory.events=oom 9\noom_kill 3\n", "pids.current=2\n", "pids.max=max\n", "cgroup.events=populated 1\nfrozen 0\n",
		"io.stat=8:0 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=0 dios=0\n8:16 rbytes=1\n")
	for _, c := range []struct {
		name  string
		trees trees
		want  string
	}{
		{"v1", trees{{1, v1, []string{"cpu", "cpuacct", "memory", "pids", "blkio", "freezer"}}},
			`{"path":"/g","frozen":true,"cpu":{"usage":70,"user":50,"system":20,"periods":4,"throttledPeriods":2,"throttled":900},` +
				`"memory":{"usage":4096,"cache":1024,"inactive":512,"peak":8192,"swap":5,"oomKills":3},"pids":{"current":2,"limit":100},` +
				`"io":{"readBytes":11,"writeBytes":20,"reads":3,"writes":4}}`},
		{"v2", trees{{2, v2, []string{"cpu", "memory", "pids", "io"}}},
			`{"path":"/g","frozen":false,"cpu":{"usage":70000,"user":50000,"system":20000,"periods":4,"throttledPeriods":2,"throttled":9000},` +
				`"memory":{"usage":4096,"cache":1024,"inactive":512,"peak":8192,"swap":5,"limit":16384,"oomKills":3},"pids":{"current":2},` +
				`"io":{"readBytes":11,"writeBytes":20,"reads":3,"writes":4}}`},
		{"nothing counted", trees{{2, v2, nil}}, `{"path":"/g","frozen":false}`},
	} {
		stats, err := (&Group{Path: "/g", trees: c.trees}).Stats()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got, _ := json.Marshal(stats); string(got) != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
	if _, err := (&Group{Path: "/other", trees: trees{{2, v2, nil}}}).Stats(); err == nil {
		t.Error("a missing cgroup has statistics")
	}
}
