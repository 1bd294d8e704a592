// mydocker is the small tools combined into a docker-like command set. There is no daemon: each command does
// its work and exits, and all state is in files.
//
// Names, options, signals, streams and exit codes are docker's, with one exception: -i NAME is
// --image NAME. Without it the first argument of run is the image. Docker's -i, which keeps standard input open, is
// known by what follows it: -it, -dit, or -i before another option; --interactive is always that. The program
// gets a terminal if standard input and output are terminals; -t and --tty=false override that.
//
// -h NAME is --hostname NAME; -h without a name prints the help.
//
// --network takes the name of a network (default: mydocker0, which docker calls bridge), none, host, container:CONTAINER
// or ns:PATH. --publish takes [[hostIP:]hostPort[-end]:]containerPort[-end][/tcp|udp|sctp]. --volume takes
// /host:/container[:ro], name:/container, or /container alone; its options z and Z do nothing on a host without SELinux.
//
// A container that has ended keeps its files, addresses and log until rm; with --rm it is removed at once. Images
// and networks whose COUNTS is not 0 are used by containers and cannot be removed.
//
// --restart starts the program again when it ends: on-failure[:N] after an exit code other than 0, at most N times;
// always and unless-stopped after every exit. The delay is 100 ms at first and doubles up to a minute; after 10 s of
// running it starts again at 100 ms. stop, kill and rm -f end the policy, but always starts the container again at the
// next boot. The log is bounded to 3 files of 10 MiB, or to what --log-opt max-size=SIZE and max-file=N say.
//
// A container lives as long as the process that waits for it: the command in the foreground, or its monitor, md-spawn
// monitor. If that is killed, the container ends with exit code 137, and the next command that creates, starts, stops or
// removes a container cleans up. "system check" shows orphans and networks that another program broke, and exits with 1
// if there are any; "system check --fix" removes the orphans and repairs the networks. It also shows the files of an
// interrupted pull, which are kept for a day so that the next pull can resume, and, after an hour, the containers of
// documents that were not run. "system prune" removes those too; "system check --fix" removes the containers
// after a day. "system boot" starts, when the machine starts, the containers that restart always or unless stopped.
//
// The limits of run are those of md-cgroup. They have docker's names too: --memory or -m, --memory-reservation,
// --memory-swap, --cpu-period, --cpu-quota, --pids-limit. update changes them for the running container and for its
// next starts. pause freezes a container until unpause, or until it is stopped.
//
// version prints of what the programs were made, and what the host can do; it needs no root. info prints counts of
// containers and images, and what the host is. --format takes docker's names: '{{.Server.Version}}', '{{.CgroupVersion}}'.
//
// A CONTAINER is an id, a name, or the beginning of an id.
//
// # Examples
//
//	mydocker run --rm busybox echo hello
//	mydocker run -d --name web -p 8080:80 -v /srv/www:/var/www busybox httpd -f
//	mydocker exec web ps
//	mydocker run --print --memory-limit 64m busybox echo hello
package main
