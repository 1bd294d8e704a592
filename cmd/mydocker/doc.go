// mydocker is the small tools combined into a docker-like command set. There is no daemon: each command does
// its work and ends, and the state is files.
//
// Names, options, signals, streams and exit codes are docker's, with one exception: -i is --image.
// Standard input is kept open by --interactive. Without -i the first argument of run is the image. A
// terminal is given when standard input and output are terminals; -t and --tty=false overrule that.
//
// --network is the name of a network (mydocker0 where none is named), none, host, container:CONTAINER or
// ns:PATH. --publish takes [[hostIP:]hostPort[-end]:]containerPort[-end][/tcp|udp|sctp]. --volume takes
// /host:/container[:ro], name:/container, or /container alone.
//
// Ended containers stay, with their files, addresses and log, until rm; with --rm they go at once. Images
// and networks whose COUNTS is not 0 are used by containers and cannot be removed.
//
// --restart starts a program again when it ends: on-failure[:N] after an exit code that is not 0, N times at most;
// always, and unless-stopped. The pause before is 100 ms, then twice that up to a minute, and from the beginning
// again after 10 s of running. stop and rm -f end that; always comes back at the next boot all the same. The log is
// bounded: 3 files of 10 MiB, or what --log-opt max-size=SIZE and max-file=N say.
//
// A container lives no longer than who waits for it: the command in the foreground, or its monitor, md-spawn
// monitor. Killed as it may be, the container ends with it, with exit code 137, and what it held is taken back by the
// next command that makes, starts, stops or removes a container. "system check" shows what is ours and nobody owns,
// and what of a network another program broke, with exit code 1 if there is any; "system check --fix" removes the one
// and mends the other. What came of a pull that was broken
// off is shown, and kept for a day for the next one to go on from: "system prune" removes that, too. What stages of the
// pipe have made of a document that was not run is shown after an hour, and is removed by both after a day. "system boot"
// starts what runs always when the machine starts.
//
// The limits of run are those of md-cgroup, and have docker's names as well: --memory or -m, --memory-reservation,
// --memory-swap, --cpu-period, --cpu-quota, --pids-limit. update changes them while the container runs, and for its
// next starts. A paused container stands still until unpause, or its end.
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
