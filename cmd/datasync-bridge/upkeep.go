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
	"datasync-bridge/receiver"
	"datasync-bridge/store/sqlite"
)

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
configuration only server.listen and server.tls are read, so no secret is needed.`,
		Example: "  datasync-bridge healthcheck -c config.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, err := config.Server(c.configPath, config.Options{Env: os.Environ()})
			if err != nil {
				return err
			}
			return c.healthcheck(cmd.Context(), server)
		},
	}
}

func (c *cli) healthcheck(ctx context.Context, server receiver.Config) error {
	host, port, err := net.SplitHostPort(server.Listen)
	if err != nil {
		return fmt.Errorf("server.listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	// A transport of its own: the default one would ask a proxy of the
	// environment, and believe its answer.
	scheme, transport := "http://", &http.Transport{DisableKeepAlives: true}
	if server.TLS != nil {
		scheme = "https://"
		if transport, err = trusting(server.TLS.Cert); err != nil {
			return fmt.Errorf("server.tls.cert: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+net.JoinHostPort(host, port)+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
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
