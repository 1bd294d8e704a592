package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
)

// pruneForce is the option that all prune commands have.
type pruneForce struct {
	Force bool `short:"f" help:"Do not ask on a terminal"`
}

// agreed asks for confirmation on a terminal. Scripts are not asked.
func (o pruneForce) agreed(std *cli.IO, what string) bool {
	if o.Force || !cli.IsTerminal(std.In) || !cli.IsTerminal(std.Err) {
		return true
	}
	fmt.Fprintf(std.Err, "This will remove %s. Continue? [y/N] ", what)
	answer, err := bufio.NewReader(std.In).ReadString('\n')
	if err != nil && answer == "" {
		fmt.Fprintln(std.Err)
		return false
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

type containerPrune struct {
	pruneForce
	Filter []string `sep:"none" help:"Only those created before a time (until=24h, or a date), or with a label (label=KEY=VALUE, label!=KEY)"`
}

// Run prints the ids of the containers that it removes, and the space that they took.
func (c *containerPrune) Run(ctx context.Context, std *cli.IO) error {
	filter, err := container.ParsePruneFilter(c.Filter, time.Now())
	if err != nil {
		return cli.Usagef("%w", err)
	}
	e, err := engine(std)
	if err != nil {
		return err
	}
	if !c.agreed(std, "all containers that do not run") {
		return nil
	}
	defer e.Sweep(ctx)
	out := cli.NewLines(std.Out)
	bytes, err := e.Prune(ctx, filter, func(id string) { out.Printf("%s", id) })
	out.Printf("Total reclaimed space: %s", container.Size(bytes))
	return errors.Join(err, out.Err())
}
