// Package crilog writes, rotates and reads the log of a container, in the format of Kubernetes' runtime interface.
package crilog
