package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/receiver"
	"datasync-bridge/store/sqlite"
)

// serveRung is one server of the ladder. It prints "listening ADDRESS" and
// serves until its standard input ends.
func serveRung(ctx context.Context, name string, args []string) error {
	f := flag.NewFlagSet("rung", flag.ContinueOnError)
	dir := f.String("dir", ".", "folder of the store")
	count := f.Int64("count", 0, "events to store")
	profile := f.String("profile", "", "file of the CPU profile")
	if err := f.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	stopProfile, err := profiled(*profile)
	if err != nil {
		return err
	}
	defer stopProfile()
	switch name {
	case "bare":
		return serveFiber(ctx, func(c *fiber.Ctx) error { return c.SendStatus(fiber.StatusOK) })
	case "hmac":
		return serveFiber(ctx, authenticated)
	case "checks":
		return serveReceiver(ctx, *dir, func(*config.Config) (receiver.Inbox, error) { return &forgetful{}, nil })
	case "durable":
		return serveReceiver(ctx, *dir, func(cfg *config.Config) (receiver.Inbox, error) {
			return sqlite.Open(ctx, cfg.Store, sqlite.Options{})
		})
	case "single":
		return serveReceiver(ctx, *dir, func(cfg *config.Config) (receiver.Inbox, error) {
			s, err := sqlite.Open(ctx, cfg.Store, sqlite.Options{})
			return &single{store: s}, err
		})
	case "pager":
		return servePager(ctx)
	case "seed":
		return seed(ctx, *dir, *count)
	}
	return fmt.Errorf("there is no rung %q", name)
}

func profiled(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	file, err := os.Create(path) //nolint:gosec // the caller's own folder
	if err != nil {
		return nil, err
	}
	return pprof.StopCPUProfile, pprof.StartCPUProfile(file)
}

// serveFiber is the framework with one handler and nothing else.
func serveFiber(ctx context.Context, handler fiber.Handler) error {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post("/hooks/datasync", handler)
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening", ln.Addr())
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(ln) }()
	<-ctx.Done()
	return errors.Join(app.ShutdownWithTimeout(time.Second), <-ended)
}

var macs = sync.Pool{New: func() any { return hmac.New(sha256.New, []byte(secret)) }}

// authenticated is what any receiver of signed webhooks has to do, at the least.
func authenticated(c *fiber.Ctx) error {
	mac := macs.Get().(interface { //nolint:forcetypeassert // the pool holds nothing else
		io.Writer
		Reset()
		Sum([]byte) []byte
	})
	defer macs.Put(mac)
	mac.Reset()
	_, _ = mac.Write(c.Body())
	var sum, sent [sha256.Size]byte
	signature := c.Get(signatureHeader)
	if len(signature) != len(signaturePrefix)+2*sha256.Size {
		return c.SendStatus(fiber.StatusUnauthorized)
	}
	if _, err := hex.Decode(sent[:], []byte(signature[len(signaturePrefix):])); err != nil || !hmac.Equal(mac.Sum(sum[:0]), sent[:]) {
		return c.SendStatus(fiber.StatusUnauthorized)
	}
	return c.SendStatus(fiber.StatusAccepted)
}

// serveReceiver is the public listener over some inbox.
func serveReceiver(ctx context.Context, dir string, open func(*config.Config) (receiver.Inbox, error)) error {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) // as serve does
	debug.SetGCPercent(60)                        // likewise
	cfg, err := config.Load(filepath.Join(dir, "config.yaml"), config.Options{})
	if err != nil {
		return err
	}
	inbox, err := open(cfg)
	if err != nil {
		return err
	}
	server, err := receiver.New(cfg.Server, cfg.Sources, inbox, receiver.Options{})
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Server.Listen)
	if err != nil {
		return err
	}
	fmt.Println("listening", ln.Addr())
	err = server.Run(ctx, ln)
	if c, ok := inbox.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return err
}

// forgetful answers as the store does, and keeps nothing.
type forgetful struct{ serial atomic.Int64 }

func (f *forgetful) Accept(context.Context, event.Received) (event.Receipt, error) {
	return event.Receipt{ID: fmt.Sprintf("ev_%013d", f.serial.Add(1)), Status: event.Accepted}, nil
}

// single is the store with one transaction an event: what group commit is
// measured against.
type single struct {
	mu    sync.Mutex
	store *sqlite.Store
}

func (s *single) Accept(ctx context.Context, in event.Received) (event.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.Accept(ctx, in)
}

func (s *single) Close() error { return s.store.Close() }

// servePager is PagerDuty's stand-in.
func servePager(ctx context.Context) error {
	pager := standin.NewPagerDuty(standin.PagerDutyOptions{RoutingKeys: map[string]string{routingKey: "bench"}})
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening", ln.Addr())
	server := &http.Server{Handler: pager, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	<-ctx.Done()
	return errors.Join(server.Close(), ignoreClosed(<-ended))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
