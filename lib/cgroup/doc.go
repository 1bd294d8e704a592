// Package cgroup limits and counts what containers use, by control groups: one group per container,
// /mydocker/ID, in every hierarchy that is mounted. It knows cgroup v1 (a hierarchy per controller),
// v2 (one for all) and hybrids (each controller where it lives).
//
// The way of a limit is: option ([Limits]) to OCI document (linux.resources) to the kernel's files.
// The document is the model: what others wrote into it applies as well.
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
//	(1) the parent /mydocker is lent the sum of its children's budgets
//	(2) 10^((l²+125·l)/612 − 7/34) with l the logarithm of the shares to base 2: 2 is 1, 1024 is 100, 262144 is 10000
//	(3) refused where the kernel takes the value and forgets it, which those since 5.16 do
//	(4) refused where no device is scheduled by bfq, or not that one: the kernel would take it and do nothing
//	(5) where the device has a model of costs (io.cost.qos) and is not scheduled by bfq: 1 + (w−10)·9999/990
//	(6) v2 has no files for devices; the program decides as v1's files would, and a hybrid host uses these
//
// Refused means: an error that names the option, the reason and a remedy, before anything is made.
// What nobody asked for is not written: the kernel's own default stands, whatever number the help
// shows. A value that asks for no limit never fails for want of a file or a hierarchy.
package cgroup
