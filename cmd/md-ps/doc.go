// md-ps lists containers: a table for people, JSON or a template for programs.
//
// It only reads, and asks the kernel which containers run. A template is one of Go (text/template) over the
// fields ID, Name, Image, Status, ExitCode, Driver, PID, Command, IPs, Ports, Created and Labels. A container that
// stages of the pipe have made, and whose document has not been run, is listed as prepared.
//
// # Examples
//
//	md-ps --filter status=running
//	md-ps --format '{{.Name}} {{.PID}}'
//	md-ps --format json | jq -r 'select(.exitCode != 0) | .name'
package main
