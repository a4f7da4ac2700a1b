package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"datasync-bridge/config"
	"datasync-bridge/dispatch"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web"
	"datasync-bridge/web/client"
	"datasync-bridge/web/view"
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
	if errors.Is(err, fs.ErrNotExist) {
		return missingStore(cfg)
	}
	if err != nil {
		return err
	}
	return errors.Join(read(s), s.Close())
}

// missingStore says which file is missed, in full: a path that is relative is
// so to the folder where the command runs.
func missingStore(cfg *config.Config) error {
	path := cfg.Store.SQLite.Path
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	return fmt.Errorf("there is no store at %s: serve makes it; is this the folder and the configuration that serve runs with?", path)
}

// deeds are the changes that a person may ask for.
type deeds interface {
	Acknowledge(ctx context.Context, incidentID, why string) error
	Resolve(ctx context.Context, incidentID, why string) error
	RetryDelivery(ctx context.Context, deliveryID string) error

	ApproveRuns(ctx context.Context, ids []string, why string) error
	DenyRun(ctx context.Context, id, why string) error
	StopRun(ctx context.Context, id, why string) error
	// StopRuns and ResumeRuns are for one remediation's runs, "" for all.
	StopRuns(ctx context.Context, scope, why string) error
	ResumeRuns(ctx context.Context, scope, why string) error
	ClearRun(ctx context.Context, id string, outcome incident.RunState, why string) error
	// Record adds what was done outside the bridge to the record of deeds.
	Record(ctx context.Context, a incident.Audit) error
}

// withDeeds carries a change out: on the store's file if no serve holds it,
// else through the running bridge's admin API.
func (c *cli) withDeeds(ctx context.Context, do func(deeds) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	alone, err := c.carryOut(ctx, cfg, do)
	if err == nil && alone {
		fmt.Fprintln(c.err, "no serve is running: those who are to be told of this are told when it starts")
	}
	return err
}

// carryOut does a deed, and reports whether no serve ran beside it.
func (c *cli) carryOut(ctx context.Context, cfg *config.Config, do func(deeds) error) (alone bool, err error) {
	log, err := c.logger()
	if err != nil {
		return false, err
	}
	if !hasStore(cfg) {
		return false, missingStore(cfg) // opening would make an empty one
	}
	s, err := sqlite.Open(ctx, cfg.Store, sqlite.Options{Log: log})
	if errors.Is(err, sqlite.ErrLocked) {
		return false, throughBridge(cfg, do)
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(onStore(cfg, s, log, do), s.Close())
}

func hasStore(cfg *config.Config) bool {
	_, err := os.Stat(cfg.Store.SQLite.Path)
	return !errors.Is(err, fs.ErrNotExist)
}

func throughBridge(cfg *config.Config, do func(deeds) error) error {
	remote, err := adminClient(cfg)
	if err != nil {
		return err
	}
	err = do(remote)
	if refused, ok := errors.AsType[*view.Error](err); ok && refused.Status == http.StatusUnauthorized {
		return fmt.Errorf("the running bridge does not know this token (of %s, else of %s): %w", tokenVariable, tokenFile(cfg), err)
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("a running bridge holds the store, but does not answer at admin.listen; it may be starting or stopping, or has another configuration: %w", err)
	}
	return err
}

func onStore(cfg *config.Config, s *sqlite.Store, log *slog.Logger, do func(deeds) error) error {
	parts, err := compile(cfg)
	if err != nil {
		return err
	}
	d, err := dispatch.New(dispatch.Deps{
		Store: s, Addressees: addressees(s), Log: log,
		Rules: dispatch.Rules{Mapper: parts.mapper, Router: parts.table, Planner: parts.machine},
	}, dispatch.Config{})
	if err != nil {
		return err
	}
	return do(onFile{d, newDesk(newLive(cfg, parts), s, log)})
}

// adminClient speaks to the bridge that holds the store.
func adminClient(cfg *config.Config) (*client.Client, error) {
	host, port, err := net.SplitHostPort(cfg.Admin.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	token, err := tokenOf(cfg)
	if err != nil {
		return nil, err
	}
	scheme := "http://"
	var transport http.RoundTripper
	if cfg.Admin.TLS != nil {
		scheme = "https://"
		if transport, err = trusting(cfg.Admin.TLS.Cert); err != nil {
			return nil, fmt.Errorf("admin.tls.cert: %w", err)
		}
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return client.New(scheme+net.JoinHostPort(host, port), token, transport)
}

// tokenVariable holds the token of whoever acts.
const tokenVariable = "DATASYNC_BRIDGE_TOKEN" // #nosec G101 -- the variable's name

func tokenOf(cfg *config.Config) (string, error) {
	if token := strings.TrimSpace(os.Getenv(tokenVariable)); token != "" {
		return token, nil
	}
	if len(cfg.Admin.Users) > 0 { // a token file would be one of earlier times
		return "", fmt.Errorf("a running bridge holds the store and knows its users: set %s to your token", tokenVariable)
	}
	text, err := os.ReadFile(tokenFile(cfg))
	if err != nil {
		return "", fmt.Errorf("a running bridge holds the store, and its admin token is not to be had (set %s to it): %w", tokenVariable, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// trusting believes the certificate that a listener itself shows, so
// that one of a private authority works without further settings. It is asked
// for by a name that it bears: the address called is often another.
func trusting(certFile string) (*http.Transport, error) {
	text, err := os.ReadFile(certFile) // #nosec G304 -- named by the configuration
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(text)
	return &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: certName(text), MinVersion: tls.VersionTLS12}}, nil
}

// certName is a name that the first certificate of a file is good for, "" for
// the one of the address.
func certName(text []byte) string {
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return ""
	case len(cert.DNSNames) > 0:
		return strings.Replace(cert.DNSNames[0], "*", "bridge", 1)
	case len(cert.IPAddresses) > 0:
		return cert.IPAddresses[0].String()
	}
	return ""
}

// onFile does deeds on a store that no serve holds, in the local user's name.
type onFile struct {
	d    *dispatch.Dispatcher
	desk web.Desk
}

func (f onFile) Acknowledge(ctx context.Context, id, why string) error {
	return f.d.Acknowledge(ctx, id, web.LocalName(), why)
}

func (f onFile) Resolve(ctx context.Context, id, why string) error {
	return f.d.Resolve(ctx, id, web.LocalName(), why)
}

func (f onFile) RetryDelivery(ctx context.Context, id string) error {
	return f.d.RetryDelivery(ctx, id, web.LocalName())
}

func (f onFile) ApproveRuns(ctx context.Context, ids []string, why string) error {
	return f.desk.Approve(ctx, ids, web.LocalName(), why)
}

func (f onFile) DenyRun(ctx context.Context, id, why string) error {
	return f.desk.Deny(ctx, id, web.LocalName(), why)
}

func (f onFile) StopRun(ctx context.Context, id, why string) error {
	return f.desk.StopRun(ctx, id, web.LocalName(), why)
}

func (f onFile) StopRuns(ctx context.Context, scope, why string) error {
	return f.desk.Stop(ctx, scope, web.LocalName(), why)
}

func (f onFile) ResumeRuns(ctx context.Context, scope, why string) error {
	return f.desk.Resume(ctx, scope, web.LocalName(), why)
}

func (f onFile) ClearRun(ctx context.Context, id string, outcome incident.RunState, why string) error {
	return f.desk.Clear(ctx, id, outcome == incident.RunDone, web.LocalName(), why)
}

func (f onFile) Record(ctx context.Context, a incident.Audit) error {
	a.Actor = web.LocalName()
	return f.desk.Record(ctx, a)
}
