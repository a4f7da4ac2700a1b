package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"datasync-bridge/config"
	"datasync-bridge/dispatch"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web"
	"datasync-bridge/web/client"
)

// tokenFile is where the generated admin token lies: beside the store.
func tokenFile(cfg *config.Config) string {
	return filepath.Join(filepath.Dir(cfg.Store.SQLite.Path), "admin.token")
}

// withReader opens the store for reading, beside a serve that may be running.
func (c *cli) withReader(ctx context.Context, read func(*sqlite.Store) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	log, err := c.logger()
	if err != nil {
		return err
	}
	s, err := sqlite.OpenReadOnly(ctx, cfg.Store, sqlite.Options{Log: log})
	if err != nil {
		return err
	}
	return errors.Join(read(s), s.Close())
}

// deeds are the changes that a person may ask for.
type deeds interface {
	Acknowledge(ctx context.Context, incidentID, why string) error
	Resolve(ctx context.Context, incidentID, why string) error
	RetryDelivery(ctx context.Context, deliveryID string) error
}

// withDeeds carries a change out: on the store's file if no serve holds it,
// else through the running bridge's admin API.
func (c *cli) withDeeds(ctx context.Context, do func(deeds) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	log, err := c.logger()
	if err != nil {
		return err
	}
	s, err := sqlite.Open(ctx, cfg.Store, sqlite.Options{Log: log})
	if errors.Is(err, sqlite.ErrLocked) {
		remote, err := adminClient(cfg)
		if err != nil {
			return err
		}
		return do(remote)
	}
	if err != nil {
		return err
	}
	parts, err := compile(cfg)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	d, err := dispatch.New(dispatch.Deps{
		Store: s, Addressees: addressees(s), Mapper: parts.mapper, Log: log,
		Rules: dispatch.Rules{Router: parts.table, Planner: parts.machine},
	}, dispatch.Config{})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return errors.Join(do(onFile{d}), s.Close())
}

// adminClient speaks to the bridge that holds the store.
func adminClient(cfg *config.Config) (*client.Client, error) {
	host, port, err := net.SplitHostPort(cfg.Admin.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	token := os.Getenv("DATASYNC_BRIDGE_TOKEN")
	if token == "" {
		text, err := os.ReadFile(tokenFile(cfg))
		if err != nil {
			return nil, fmt.Errorf("a running bridge holds the store, and its admin token is not to be had "+
				"(set DATASYNC_BRIDGE_TOKEN to your token): %w", err)
		}
		token = strings.TrimSpace(string(text))
	}
	scheme := "http://"
	var transport http.RoundTripper
	if cfg.Admin.TLS != nil {
		scheme = "https://"
		if transport, err = trusting(cfg.Admin.TLS.Cert); err != nil {
			return nil, err
		}
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return client.New(scheme+net.JoinHostPort(host, port), token, transport)
}

// trusting believes the certificate that the admin listener itself shows, so
// that one of a private authority works without further settings.
func trusting(certFile string) (http.RoundTripper, error) {
	pem, err := os.ReadFile(certFile) // #nosec G304 -- named by the configuration
	if err != nil {
		return nil, fmt.Errorf("admin.tls.cert: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(pem)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}, nil
}

// onFile does deeds on a store that no serve holds, in the local user's name.
type onFile struct{ d *dispatch.Dispatcher }

func (f onFile) Acknowledge(ctx context.Context, id, why string) error {
	return f.d.Acknowledge(ctx, id, web.LocalName(), why)
}

func (f onFile) Resolve(ctx context.Context, id, why string) error {
	return f.d.Resolve(ctx, id, web.LocalName(), why)
}

func (f onFile) RetryDelivery(ctx context.Context, id string) error {
	return f.d.RetryDelivery(ctx, id, web.LocalName())
}
