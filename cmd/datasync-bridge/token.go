package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func (c *cli) tokenCommand() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Get a token and print its claims and expiry",
		Long: `Get a token (POST /auth/token) and print its claims and when it expires. The
token itself is a secret: it is printed only with --show. Its signature is not
checked; that is Datasync's matter.`,
		Example: "  datasync-bridge datasync token -c config.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, cfg, err := c.api()
			if err != nil {
				return err
			}
			token, err := client.Token(cmd.Context())
			if err != nil {
				return explained(err)
			}
			shown := tokenView{At: host(cfg.Datasync), Environment: string(client.Environment()), Claims: token.Claims}
			if !token.Expires.IsZero() {
				shown.Expires = token.Expires.UTC()
			}
			if show {
				shown.Token = token.Text.Reveal()
			}
			if c.output == "json" {
				return writeJSON(c.out, shown)
			}
			return c.printToken(shown)
		},
	}
	cmd.Flags().BoolVar(&show, "show", false, "print the token as well: whoever reads it can act as this client")
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

// tokenView is what a token says of itself.
type tokenView struct {
	At          string         `json:"at"`
	Environment string         `json:"environment"`
	Expires     time.Time      `json:"expires,omitzero"`
	Claims      map[string]any `json:"claims,omitempty"`
	Token       string         `json:"token,omitempty"`
}

func (c *cli) printToken(v tokenView) error {
	rows := [][]string{{"at", v.At}, {"environment", v.Environment}, {"expires", expiry(v.Expires)}}
	for _, name := range slices.Sorted(maps.Keys(v.Claims)) {
		rows = append(rows, []string{"claim " + name, claim(name, v.Claims[name])})
	}
	if v.Claims == nil {
		rows = append(rows, []string{"claims", "none: the token is no JWT"})
	}
	if v.Token != "" {
		rows = append(rows, []string{"token", v.Token})
	}
	return writeTable(c.out, nil, rows)
}

// expiry tells when, and how long that is from now.
func expiry(at time.Time) string {
	if at.IsZero() {
		return "not told"
	}
	return fmt.Sprintf("%s (in %s)", clock(at), time.Until(at).Round(time.Second))
}

// claim prints the times among the claims as times (RFC 7519, 4.1).
func claim(name string, value any) string {
	text := plain(value)
	switch name {
	case "exp", "iat", "nbf":
		if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds < 1e11 {
			return clock(time.Unix(int64(seconds), 0))
		}
	}
	return text
}
