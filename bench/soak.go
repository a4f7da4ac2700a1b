package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// soak puts steady load on serve, and prints its memory as it goes.
func (l *lab) soak(ctx context.Context, pager string, to io.Writer) error {
	dir := filepath.Join(l.dir, "soak")
	if err := configure(dir, "http://"+pager+"/v2/enqueue"); err != nil {
		return err
	}
	c, err := startBridge(ctx, l.o.bridge, dir)
	if err != nil {
		return err
	}
	defer c.stop()
	slice := max(l.o.soak/20, time.Second)
	fmt.Fprintf(to, "%8s  %10s  %8s  %8s  %8s  %8s\n", "after", "accepted", "planned", "p99 ms", "RSS MB", "peak MB")
	began := time.Now()
	var accepted int64
	s := load{address: c.address, connections: 32, lasting: slice, rate: l.o.soakRate, request: signed, serial: &l.serial}
	guns, err := s.open()
	if err != nil {
		return err
	}
	defer guns.close()
	for time.Since(began) < l.o.soak && ctx.Err() == nil {
		got, err := s.fire(ctx, guns)
		if err != nil {
			return err
		}
		if got.Failed+got.Shed > 0 {
			return fmt.Errorf("%d were answered 503, %d failed: %s", got.Shed, got.Failed, got.Why)
		}
		accepted += got.Accepted
		u, err := usageOf(c.cmd.Process.Pid)
		if err != nil {
			return err
		}
		done, err := metric(ctx, c, plannedEvents)
		if err != nil {
			return err
		}
		fmt.Fprintf(to, "%8v  %10d  %8.0f  %8s  %8d  %8d\n", time.Since(began).Round(time.Second), accepted, done, millis(got.P99), u.rss>>20, u.peak>>20)
	}
	return nil
}
