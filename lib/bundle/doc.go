// Package bundle is the state machine of an OCI runtime (runtime-spec, runtime.md): containers that other engines make from
// bundles of their own, with create, start, kill and delete.
package bundle
