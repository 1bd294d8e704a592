package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/network"
)

// cni answers the runtime that calls us as its plugin, and returns the exit code.
func cni() int {
	// A reader that is gone must be an error of write(2): there may be something to undo.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := interrupt.Notify(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	m, _, err := manager()
	if err != nil {
		return network.CNIError(os.Stdout, "", err)
	}
	return m.CNI(ctx, os.Getenv, os.Stdin, os.Stdout)
}
