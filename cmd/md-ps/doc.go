// md-ps lists containers: a table for people, JSON or a template for programs.
//
// It only reads, and asks the kernel which containers run. On a terminal COMMAND is cut so that a row fits. A
// template is one of Go (text/template) with the fields ID, Name, Image, Status, ExitCode, Driver, PID, Command,
// IPs, Ports, Created and Labels. A container that stages of the pipe have made, but whose document has not been run,
// has the status prepared.
//
// # Examples
//
//	md-ps --filter status=running
//	md-ps --format '{{.Name}} {{.PID}}'
//	md-ps --format json | jq -r 'select(.exitCode != 0) | .name'
package main
