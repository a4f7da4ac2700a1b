package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
	"datasync-bridge/store/sqlite"
)

func (c *cli) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration: every fault at once, with its position",
		Long: `Check the configuration without starting anything. Every fault is printed as
FILE:LINE:COL: KEY: what is wrong and what to do. Exit code 1 if there is one;
warnings alone leave it 0.`,
		Example: "  datasync-bridge check -c config.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			for _, warning := range cfg.Warnings {
				fmt.Fprintln(c.out, warning.String())
			}
			_, err = fmt.Fprintf(c.out, "%s is valid: %s, %s, %s (configuration %s)\n", c.configPath,
				count(len(cfg.Sources), "source"), count(len(cfg.Rules), "rule"), count(len(cfg.Notifiers), "notifier"), cfg.ShortHash())
			return err
		},
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (c *cli) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "backup FILE",
		Short:   "Copy the store to a new file, also while the bridge runs",
		Long:    "Copy the store to a new file, consistent as of one moment, also while the bridge\nruns. An existing file is never written over. That it was made is recorded.",
		Example: "  datasync-bridge backup /backups/bridge-$(date +%F).db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := c.withReader(cmd.Context(), func(s *sqlite.Store) error {
				if err := s.Backup(cmd.Context(), args[0]); err != nil {
					return err
				}
				info, err := os.Stat(args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.out, "%s: %d bytes\n", args[0], info.Size())
				return err
			})
			if err == nil {
				c.exported(cmd.Context(), "backup", args[0])
			}
			return err
		},
	}
}

func (c *cli) healthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the running bridge whether it is ready; the exit code says so",
		Long: `Ask the running bridge whether it is ready; the exit code says so. Of the
configuration only server.listen is read, so no secret is needed.`,
		Example: "  datasync-bridge healthcheck -c config.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			listen, err := config.Listen(c.configPath, config.Options{Env: os.Environ()})
			if err != nil {
				return err
			}
			return c.healthcheck(cmd.Context(), listen)
		},
	}
}

func (c *cli) healthcheck(ctx context.Context, listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("server.listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	// A transport of its own: the default one would ask a proxy of the
	// environment, and believe its answer.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4096))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: /readyz answered %s", response.Status)
	}
	_, err = fmt.Fprintln(c.out, "ready")
	return err
}

func (c *cli) sandboxCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run a local stand-in of Datasync to point a configuration at",
		Long: `Run a local stand-in of Datasync: it issues tokens, takes webhook
subscriptions, delivers signed events, runs automations and lists failed
transactions. It listens on loopback only and keeps everything in memory.
What Datasync does not document is assumed, and named so in its code.`,
		Example: `  datasync-bridge sandbox --listen 127.0.0.1:8090
  # then, in config.yaml:  datasync: {base_url: "http://127.0.0.1:8090/v1", client_id: sandbox, client_secret: sandbox-secret}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.sandbox(cmd.Context(), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8090", "loopback `address` to listen on")
	return cmd
}

func (c *cli) sandbox(ctx context.Context, listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return usagef("--listen: %v", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usagef("--listen: the sandbox takes any credentials it printed, so it listens on loopback only; %s is not", host)
	}
	log, err := c.logger()
	if err != nil {
		return err
	}
	var open net.ListenConfig
	ln, err := open.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("open the sandbox's listener: %w", err)
	}
	// The stand-in's own secrets are no secrets: they are printed so that a
	// configuration can be pointed at it.
	const id, secret, signing = "sandbox", event.Secret("sandbox-secret"), event.Secret("sandbox-webhook-secret")
	fmt.Fprintf(c.out, sandboxIntro, ln.Addr(), id, secret.Reveal(), signing.Reveal())
	return sandbox.New(sandbox.Options{Log: log, ClientID: id, ClientSecret: secret, Secret: signing}).Serve(ctx, ln)
}

const sandboxIntro = `Datasync stand-in (everything here is made up)

  base_url        http://%[1]s/v1
  client_id       %[2]s
  client_secret   %[3]s
  webhook secret  %[4]s

Let serve know that secret (DATASYNC_WEBHOOK_SECRET in the example configuration),
and set environment: sandbox in its source, so that a rehearsal pages nobody.
Then subscribe its address and make something fail:

  TOKEN=$(curl -s http://%[1]s/v1/auth/token -H 'Content-Type: application/json' -d '{"client_id":"%[2]s","client_secret":"%[3]s"}' | jq -r .access_token)
  curl -s http://%[1]s/v1/webhooks/subscriptions -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
    -d '{"name":"ops","url":"http://127.0.0.1:8080/hooks/datasync","events":["*"]}'
  curl -s http://%[1]s/_control/transactions -H 'Content-Type: application/json' -d '{"id":"txn_1","document_type":"856","partner":{"id":"par_1","name":"Partner One"}}'
  curl -s http://%[1]s/_control/events -H 'Content-Type: application/json' -d '{"type":"transaction.failed","transaction":"txn_1"}'

Ctrl-C ends it.
`
