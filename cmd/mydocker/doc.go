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
// A CONTAINER is an id, a name, or the beginning of an id.
//
// # Examples
//
//	mydocker run --rm busybox echo hello
//	mydocker run -d --name web -p 8080:80 -v /srv/www:/var/www busybox httpd -f
//	mydocker exec web ps
//	mydocker run --print --memory-limit 64m busybox echo hello
package main
