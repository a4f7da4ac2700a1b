package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"datasync-bridge/config"
	"datasync-bridge/datasync"
	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/outbound"
	"datasync-bridge/web"
)

// onceWithin bounds `demo --once`.
const onceWithin = 30 * time.Second

// What the demo's configuration and its stand-ins agree on; none of it is a
// secret of anybody.
const (
	demoChannel    = "C0EDIOPS"
	demoBotToken   = "xoxb-demo"                        // #nosec G101 -- the stand-in's own
	demoRoutingKey = "demo0000demo0000demo0000demo0000" // #nosec G101 -- the stand-in's own
)

func (c *cli) demoCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play an operations story on this machine: no configuration, no network",
		Long: `Play an operations story on this machine. A stand-in of Datasync, the bridge, and
stand-ins of Slack and PagerDuty run on loopback with a temporary store; each
alert is shown as it lands. The demo stays until Ctrl-C, so that you can look
around; with --once it ends by itself within 30 s, and with exit code 1 if
anything that should have arrived did not.`,
		Example: "  datasync-bridge demo\n  datasync-bridge demo --once",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.demo(cmd.Context(), once) },
	}
	cmd.Flags().BoolVar(&once, "once", false, "end by itself when the story is over")
	return cmd
}

// stage is everything that the demo runs.
type stage struct {
	sandbox *sandbox.Sandbox
	slack   *standin.Slack
	pager   *standin.PagerDuty
	bridge  *bridge
	screen  *screen

	configPath string
	sandboxURL string
	webhookURL string
	adminURL   string
}

func (c *cli) demo(ctx context.Context, once bool) error {
	dir, err := os.MkdirTemp("", "datasync-bridge-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder that stays does no harm
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	var open net.ListenConfig
	api, err := open.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	far, err := open.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		_ = api.Close()
		return err
	}
	st := &stage{
		sandbox: sandbox.New(sandbox.Options{}),
		slack:   standin.NewSlack(standin.SlackOptions{Token: demoBotToken, Channels: map[string]string{demoChannel: ""}}),
		pager:   standin.NewPagerDuty(standin.PagerDutyOptions{RoutingKeys: map[string]string{demoRoutingKey: "edi"}}),

		configPath: filepath.Join(dir, "config.yaml"),
		sandboxURL: "http://" + api.Addr().String() + "/v1",
	}
	st.screen = newScreen(c.out, st.slack, st.pager)
	if err := st.build(ctx, dir, "http://"+far.Addr().String()); err != nil {
		return errors.Join(err, api.Close(), far.Close())
	}
	var all errgroup.Group
	all.Go(func() error { return st.sandbox.Serve(ctx, api) })
	all.Go(func() error { return serveFar(ctx, far, st) })
	played := st.run(ctx, &all, once)
	stop()
	return errors.Join(played, all.Wait(), st.bridge.close())
}

// build writes the configuration, and assembles the bridge from it as serve would.
func (st *stage) build(ctx context.Context, dir, farURL string) error {
	text := fmt.Sprintf(demoConfig, filepath.Join(dir, "data", "bridge.db"), st.sandbox.Secret().Reveal(),
		st.sandboxURL, demoBotToken, demoChannel, farURL, demoRoutingKey, farURL, web.LocalName())
	if err := os.WriteFile(st.configPath, []byte(text), 0o600); err != nil {
		return err
	}
	cfg, err := config.Load(st.configPath, config.Options{})
	if err != nil {
		return fmt.Errorf("the demo's own configuration: %w", err)
	}
	st.bridge, err = assemble(ctx, cfg, st.screen.out, slog.New(slog.DiscardHandler))
	return err
}

// run starts the bridge, subscribes it as an operator would, and plays.
func (st *stage) run(ctx context.Context, all *errgroup.Group, once bool) error {
	l, err := st.bridge.listen(ctx)
	if err != nil {
		return err
	}
	st.webhookURL = "http://" + l.public.Addr().String() + "/hooks/datasync"
	st.adminURL = "http://" + l.admin.Addr().String()
	all.Go(func() error { return st.bridge.run(ctx, l) })
	all.Go(func() error { st.screen.watch(ctx); return nil })

	api := datasync.New(st.bridge.cfg.Datasync, outbound.New(st.bridge.cfg.Outbound), datasync.Options{})
	if _, err := api.Subscribe(ctx, "datasync-bridge demo", st.webhookURL, []string{"*"}); err != nil {
		return fmt.Errorf("subscribe the bridge's address: %w", err)
	}
	st.screen.intro(st)
	playing, cancel := context.WithTimeout(ctx, onceWithin-3*time.Second)
	defer cancel()
	failed := st.play(playing)
	if once || ctx.Err() != nil {
		return failed
	}
	st.screen.outro(st)
	<-ctx.Done()
	return failed
}

// serveFar answers as Slack and PagerDuty.
func serveFar(ctx context.Context, ln net.Listener, st *stage) error {
	mux := http.NewServeMux()
	mux.Handle("/api/", st.slack)
	mux.Handle("/v2/", st.pager)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	end := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer end()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the stand-ins: %w", err)
	}
	return nil
}

// demoConfig is an ordinary configuration; its values are filled in in order:
// store path, webhook secret, Datasync, bot token, channel, Slack, routing key, PagerDuty, who may approve.
const demoConfig = `version: 1
server: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
store: {sqlite: {path: %q}}

sources:
  - name: datasync
    path: /hooks/datasync
    verify:
      scheme: custom
      secrets: [{id: s1, value: %q}]
      signature: {header: X-Datasync-Signature, prefix: "sha256=", encoding: hex}
      signed: ["{body}"]

datasync: {base_url: %q, client_id: sandbox, client_secret: sandbox-secret, reconcile: {every: 1s}}

notifiers:
  - name: edi-slack
    slack: {token: %q, channel: %q, api_url: "%s/api/", mention: {critical: "<!here>"}}
    retry: {first: 200ms, max: 2s}
  - name: edi-pager
    pagerduty: {routing_key: %q, events_url: %q}
    fallback: {to: edi-slack, after: 3m}

defaults:
  notify: [edi-slack]
  time_zone: America/Chicago

rules:
  - name: page-ship-notices
    match:
      type: [transaction.failed, transaction.rejected, "sla.*"]
      transaction.document_type: ["856", DESADV]
    severity: critical
    notify: [edi-pager, edi-slack]
  - name: failed-status
    match: {type: transaction.failed, transaction.document_type: "214"}
    remediate: resend-status
  - name: failed-invoices
    match: {type: transaction.failed, transaction.document_type: "810", error.category: connectivity, partner.id: par_3m8qd}
    remediate: resend-invoice

remediations:
  - name: resend-status
    workflow: resend_status
    params: {transaction_id: "{{ .transaction.id }}"}
    mode: auto
    limit: {per_transaction: 2/24h, per_partner: 5/1h, overall: 20/1h}
  - name: resend-invoice
    workflow: resend_invoice
    params: {transaction_id: "{{ .transaction.id }}"}
    mode: approve
    approve: {by: [%q]}
`
