// Command bench measures the bridge: each layer of the accept path as a rung of
// a ladder, in one run, so that ratios can be trusted where absolute figures
// cannot. Servers run in processes of their own; what they and the load
// generator cost is read from the kernel.
//
//	make bench
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the ladder, or with "rung NAME" one of its servers.
func run(ctx context.Context, args []string) error {
	if len(args) > 1 && args[0] == "rung" {
		return serveRung(ctx, args[1], args[2:])
	}
	o, err := readOptions(args)
	if err != nil {
		return err
	}
	return climb(ctx, o)
}
