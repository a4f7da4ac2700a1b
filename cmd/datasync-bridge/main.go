// Command datasync-bridge stands between Datasync and the people on call: it
// receives signed webhook events, keeps them, decides by rules who must know,
// and tells Slack and PagerDuty what is open and what is over.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}
