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
//	                           blockIO.weight(Device)   blkio.bfq.weight(_device)      io.bfq.weight
//	                           blockIO.throttle*Device  blkio.throttle.*_device        io.max
//	                           hugepageLimits           hugetlb.*.limit_in_bytes       hugetlb.*.max
//	                           network.classID          net_cls.classid                refused
//	                           network.priorities       net_prio.ifpriomap             refused
//	                           rdma                     rdma.max                       rdma.max
//	                           devices                  devices.deny, devices.allow    not enforced (4)
//	                           unified                  refused                        the file of that name
//
//	(1) the parent /mydocker is lent the sum of its children's budgets
//	(2) 10^((l²+125·l)/612 − 7/34) with l the logarithm of the shares to base 2: 2 is 1, 1024 is 100, 262144 is 10000
//	(3) refused where the kernel takes the value and forgets it, which those since 5.16 do
//	(4) v2 has no files for devices but programs; there a container's devices are what its /dev holds
//
// Refused means: an error that names the option, the reason and a remedy, before anything is made.
// What nobody asked for is not written: the kernel's own default stands, whatever number the help
// shows. A value that asks for no limit never fails for want of a file or a hierarchy.
package cgroup
