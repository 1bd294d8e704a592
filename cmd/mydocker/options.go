package main

import "github.com/weikeit/mydocker/lib/cli"

// optionGroups are the headings in the help of run and create for the options beyond the README's list, which comes
// first.
func optionGroups() []cli.OptionGroup {
	return []cli.OptionGroup{
		{Title: "PROGRAM", Options: []string{
			"entrypoint", "workdir", "env-file", "init", "restart", "stop-signal", "rm", "label", "pull", "print",
		}},
		{Title: "TERMINAL AND LOGS", Options: []string{"tty", "interactive", "log-opt"}},
		{Title: "NETWORK OPTIONS", Options: []string{
			"ip", "network-alias", "mac-address", "publish-all", "add-host", "dns-search", "dns-option", "net-cls-classid", "net-prio-ifpriomap",
		}},
		{Title: "FILES", Options: []string{"read-only", "tmpfs", "shm-size", "device", "device-cgroup-rule"}},
		{Title: "RIGHTS AND USERS", Options: []string{
			"user", "group-add", "userns", "cap-add", "cap-drop", "privileged", "security-opt", "sysctl",
		}},
		{Title: "LIMITS", Options: []string{
			"cpus", "ulimit", "oom-score-adj", "hugepages-limit", "blkio-weight", "blkio-leaf-weight", "blkio-weight-device",
			"blkio-leaf-weight-device", "device-read-bps", "device-write-bps", "device-read-iops", "device-write-iops",
		}},
	}
}
