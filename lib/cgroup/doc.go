// Package cgroup limits and measures the resources of containers. Each container has a cgroup,
// /mydocker/ID, in every mounted hierarchy. Supported are cgroup v1 (a hierarchy per controller),
// v2 (one hierarchy) and hybrid hosts (some controllers in v1, the others in v2).
//
// An option ([Limits]) sets a field of the OCI document (linux.resources), and the field is written to
// a file of the kernel. Fields that other tools set in the document are applied too.
//
//	option                     linux.resources          v1 (cgroup-v1/*.rst)           v2 (cgroup-v2.rst)
//	--cpu-cfs-period           cpu.period               cpu.cfs_period_us              cpu.max, second word
//	--cpu-cfs-quota            cpu.quota                cpu.cfs_quota_us               cpu.max, first word; -1: max
//	--cpu-rt-period            cpu.realtimePeriod       cpu.rt_period_us               refused
//	--cpu-rt-runtime           cpu.realtimeRuntime      cpu.rt_runtime_us (1)          refused
//	--cpu-shares               cpu.shares               cpu.shares                     cpu.weight (2)
//	                           cpu.burst                cpu.cfs_burst_us               cpu.max.burst
//	                           cpu.idle                 cpu.idle                       cpu.idle
//	--cpuset-cpus              cpu.cpus                 cpuset.cpus                    cpuset.cpus
//	--cpuset-mems              cpu.mems                 cpuset.mems                    cpuset.mems
//	--memory-limit             memory.limit             memory.limit_in_bytes          memory.max; -1: max
//	--memory-soft-limit        memory.reservation       memory.soft_limit_in_bytes     memory.low; -1: 0
//	--memory-swap-limit        memory.swap              memory.memsw.limit_in_bytes    memory.swap.max, less the memory limit
//	--memory-swappiness        memory.swappiness        memory.swappiness              refused
//	--oom-kill-disable         memory.disableOOMKiller  memory.oom_control             refused
//	--kernel-memory-limit      memory.kernel            memory.kmem.limit_in_bytes (3) refused
//	--kernel-memory-tcp-limit  memory.kernelTCP         memory.kmem.tcp.limit_in_bytes refused
//	--pids-max                 pids.limit               pids.max; 0: max               pids.max; 0: max
//	--cpus                     cpu.quota, cpu.period    both of the above              cpu.max
//	--blkio-weight             blockIO.weight           blkio.bfq.weight (4)           io.bfq.weight, or io.weight (5)
//	--blkio-weight-device      blockIO.weightDevice     blkio.bfq.weight_device (4)    the same, a line for each device
//	--blkio-leaf-weight...     blockIO.leafWeight ...   refused                        refused
//	--device-read-bps          blockIO.throttle...      blkio.throttle.read_bps_device io.max, rbps; 0: max
//	--device-write-bps         blockIO.throttle...      ….write_bps_device             io.max, wbps
//	--device-read-iops         blockIO.throttle...      ….read_iops_device             io.max, riops
//	--device-write-iops        blockIO.throttle...      ….write_iops_device            io.max, wiops
//	--hugepages-limit          hugepageLimits           hugetlb.*.limit_in_bytes       hugetlb.*.max
//	--net-cls-classid          network.classID          net_cls.classid                v1's, where it is mounted beside
//	--net-prio-ifpriomap       network.priorities       net_prio.ifpriomap             v1's, where it is mounted beside
//	--device-cgroup-rule       devices                  devices.deny, devices.allow    a BPF program (6)
//	                           rdma                     rdma.max                       rdma.max
//	                           unified                  refused                        the file of that name
//
//	(1) the parent /mydocker gets the sum of its children's budgets
//	(2) 10^((l²+125·l)/612 − 7/34) where l is the base-2 logarithm of the shares: 2 becomes 1, 1024 becomes 100, 262144 becomes 10000
//	(3) refused on kernels since 5.16, which accept the value and ignore it
//	(4) refused unless the device uses the bfq scheduler: the kernel would accept the weight and ignore it
//	(5) if the device has io.cost enabled (io.cost.qos) and does not use bfq: 1 + (w−10)·9999/990
//	(6) v2 has no files for devices; the program decides as v1's files would; a hybrid host uses v1's files
//
// Refused means an error that names the option, the reason and a remedy, before any cgroup is created.
// Options that are not given are not written: the kernel's default applies, whatever default the help
// shows. "No limit" is never an error, even if the file or the hierarchy is missing.
package cgroup
