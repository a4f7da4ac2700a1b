package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// listeners are the bridge's two addresses, open and not yet served.
type listeners struct{ public, admin net.Listener }

func (l listeners) close() {
	for _, ln := range []net.Listener{l.public, l.admin} {
		if ln != nil {
			_ = ln.Close()
		}
	}
}

// listen opens both addresses.
func (b *bridge) listen(ctx context.Context) (l listeners, err error) {
	if l.public, err = patientlyOn(ctx, b.cfg.Server.Listen, b.log); err != nil {
		return l, fmt.Errorf("open the public listener (server.listen): %w", err)
	}
	if l.admin, err = patientlyOn(ctx, b.cfg.Admin.Listen, b.log); err != nil {
		l.close()
		return l, fmt.Errorf("open the admin listener (admin.listen): %w", err)
	}
	return l, nil
}

// patient is a listener that outlives a want of file descriptors or memory:
// the server would take the error for the listener's end, and with it the
// bridge's, so that whoever opens enough connections could stop it.
type patient struct {
	net.Listener
	log    *slog.Logger
	wanted *atomic.Bool // since the last connection that was taken
}

func patientlyOn(ctx context.Context, address string, log *slog.Logger) (net.Listener, error) {
	var open net.ListenConfig
	ln, err := open.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return patient{ln, log, new(atomic.Bool)}, nil
}

func (p patient) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if !passes(err) {
			p.wanted.Store(false)
			return c, err
		}
		if !p.wanted.Swap(true) {
			p.log.Error("connections cannot be taken", "address", p.Addr().String(), "err", err)
		}
		// As net/http does: those that are open must end first, and a closed
		// listener shows at the next look.
		time.Sleep(100 * time.Millisecond)
	}
}

// passes reports whether an error is that of a moment.
func passes(err error) bool {
	for _, passing := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ECONNRESET,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}
