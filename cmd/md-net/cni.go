package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/weikeit/mydocker/lib/cni"
	"github.com/weikeit/mydocker/lib/interrupt"
)

// plugin answers a CNI runtime, and returns the exit code.
func plugin() int {
	// A closed pipe must be an error of write(2), so that ADD can be undone.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := interrupt.Notify(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	m, _, err := manager()
	if err != nil {
		return cni.WriteError(os.Stdout, "", err)
	}
	return m.CNI(ctx, os.Getenv, os.Stdin, os.Stdout)
}
