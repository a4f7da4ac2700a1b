package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/datasync"
	"datasync-bridge/datasync/profile"
	"datasync-bridge/routing/incident"
)

func (c *cli) partnersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "partners",
		Short: "Create and show trading partners",
		Example: `  datasync-bridge datasync partners create partner.yaml --dry-run
  datasync-bridge datasync partners get par_7h2k9`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.createPartnerCommand(), c.getPartnerCommand())
	return cmd
}

func (c *cli) createPartnerCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "create FILE",
		Short: "Create a trading partner of a profile in YAML or JSON",
		Long: `Create a trading partner (POST /partners) of a profile in YAML or JSON: name,
contacts, and one of as2 and sftp. The profile is checked first, every fault at
once with its place: certificates are read from PEM files beside the profile and
must be valid now; a file with a private key is refused.

  name: Acme Retail
  contacts: [{name: EDI desk, email: edi@acme.example, phone: "+1 555 0100", hours: "Mon-Fri 8-17 CT", role: edi}]
  as2:
    as2_id: ACMERETAIL
    url: https://as2.acme.example/receive
    mdn: async                                  # or sync
    sign: sha256
    encrypt: aes256-cbc
    certificates: [{role: signing, file: acme.pem}, {role: encryption, file: acme.pem}]

  # or:
  sftp: {host: sftp.acme.example, port: 22, username: us, password_file: acme.password,
         host_key: "ssh-ed25519 AAAA…", directories: {inbound: /out, outbound: /in}}

A password may also be "${VARIABLE}"; private_key_file may stand in its place. It
is sent and forgotten: never stored, printed or logged. The names of the fields
that are sent are assumed.`,
		Example: `  datasync-bridge datasync partners create partner.yaml --dry-run
  datasync-bridge datasync partners create partner.yaml -c config.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := c.readProfile(args[0], time.Now())
			if err != nil {
				return err
			}
			if dryRun {
				return c.showProfile(p)
			}
			return c.createPartner(cmd.Context(), p)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check the profile and print what would be sent; needs no configuration")
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

// readProfile reads a profile, prints its warnings, and returns every fault.
func (c *cli) readProfile(path string, now time.Time) (*profile.Profile, error) {
	var p profile.Profile
	warnings, err := config.Read(path, &p, config.Options{Env: os.Environ()}, func(report config.Report) {
		p.Check(filepath.Dir(path), now, profile.Report(report))
	})
	if err != nil {
		return nil, err
	}
	for _, warning := range warnings {
		fmt.Fprintln(c.err, printable(warning.String()))
	}
	return &p, nil
}

// showProfile prints what would be sent, its secrets as <redacted>.
func (c *cli) showProfile(p *profile.Profile) error {
	if c.output == "json" {
		return writeJSON(c.out, p.Body())
	}
	fmt.Fprintln(c.out, "POST /partners")
	if err := writeJSON(c.out, p.Body()); err != nil {
		return err
	}
	if err := c.printProfileCertificates(p); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.out, "\nnothing was sent (--dry-run)")
	return err
}

func (c *cli) printProfileCertificates(p *profile.Profile) error {
	if p.AS2 == nil {
		return nil
	}
	var rows [][]string
	for _, cert := range p.AS2.Certificates {
		rows = append(rows, []string{cert.Role, cert.Subject, daysLeft(cert.NotAfter, time.Now()), cert.Fingerprint})
	}
	return section(c.out, "certificates", rows)
}

func (c *cli) createPartner(ctx context.Context, p *profile.Profile) error {
	client, cfg, err := c.api()
	if err != nil {
		return err
	}
	made, err := client.CreatePartner(ctx, profile.Reveal(p.Body()))
	if err != nil {
		return explained(withoutSecrets(err, p))
	}
	answer := createdPartner{At: host(cfg.Datasync), ID: made.ID, Status: made.Status, RequestID: made.RequestID}
	for _, text := range []*string{&answer.ID, &answer.Status, &answer.RequestID} {
		if p.Repeats(*text) {
			*text = ""
		}
	}
	c.recordAfter(ctx, cfg, incident.Audit{
		Action: incident.AuditCalled, Subject: "create partner " + p.Name, RequestID: answer.RequestID, Result: strings.TrimSpace("created " + answer.ID),
	})
	if c.output == "json" {
		return writeJSON(c.out, answer)
	}
	if err := printFields(c.out, answer); err != nil {
		return err
	}
	return c.printProfileCertificates(p)
}

type createdPartner struct {
	At        string `json:"at"`
	ID        string `json:"id"`
	Status    string `json:"status"`
	RequestID string `json:"request_id"`
}

// withoutSecrets leaves out what an answer says where it repeats a secret of
// the profile that it refuses.
func withoutSecrets(err error, p *profile.Profile) error {
	refused, ok := errors.AsType[*datasync.Error](err)
	if !ok || !p.Repeats(err.Error()) {
		return err
	}
	bare := *refused
	bare.Message, bare.Err = "its words are left out: they repeat a password or private key", nil
	if p.Repeats(bare.RequestID) {
		bare.RequestID = ""
	}
	return &bare
}

func (c *cli) getPartnerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Show a trading partner: status, contact, transport, certificates",
		Long: `Show a trading partner (GET /partners/{id}): status, contact, transport, and the
days that each certificate has left. -o json prints all that Datasync answered.
What looks like a password or a private key is taken out of both.`,
		Example: "  datasync-bridge datasync partners get par_7h2k9 -c config.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, _, err := c.api()
			if err != nil {
				return err
			}
			p, err := client.Partner(cmd.Context(), args[0])
			if err != nil {
				return explained(err)
			}
			if c.output == "json" {
				return writeJSON(c.out, p.Raw)
			}
			return c.printPartner(p, time.Now())
		},
	}
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

func (c *cli) printPartner(p datasync.Partner, now time.Time) error {
	rows := [][]string{{"id", p.ID}, {"name", p.Name}, {"status", p.Status}}
	for _, row := range [][]string{
		{"contact", p.Contact.Name}, {"email", p.Contact.Email}, {"phone", p.Contact.Phone}, {"hours", p.Contact.Hours},
	} {
		if row[1] != "" {
			rows = append(rows, row)
		}
	}
	rows = append(rows, []string{"request", told(p.RequestID)})
	if err := writeTable(c.out, nil, rows); err != nil {
		return err
	}
	if err := section(c.out, "transport", transportOf(p.Raw)); err != nil {
		return err
	}
	rows = nil
	for _, cert := range p.Certificates {
		rows = append(rows, []string{cert.Role, cmp.Or(cert.Subject, cert.ID), daysLeft(cert.NotAfter, now), cert.Fingerprint})
	}
	return section(c.out, "certificates", rows)
}

// transportOf is the transport as it came, one line for each value.
func transportOf(raw json.RawMessage) [][]string {
	var answer struct{ Transport map[string]any }
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&answer) != nil {
		return nil
	}
	return flat("", answer.Transport)
}

func flat(prefix string, m map[string]any) [][]string {
	var rows [][]string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if inner, ok := m[key].(map[string]any); ok {
			rows = append(rows, flat(prefix+key+" ", inner)...)
		} else {
			rows = append(rows, []string{prefix + strings.ReplaceAll(key, "_", " "), plain(m[key])})
		}
	}
	return rows
}

// daysLeft tells when a certificate ends, and marks what is over or near.
func daysLeft(end, now time.Time) string {
	if end.IsZero() {
		return "no end told"
	}
	left := end.Sub(now)
	days := count(int(left.Hours()/24), "day")
	switch {
	case left <= 0:
		return "EXPIRED " + end.UTC().Format(time.DateOnly)
	case left < profile.Soon:
		return "SOON: " + days + " left, until " + end.UTC().Format(time.DateOnly)
	}
	return days + " left, until " + end.UTC().Format(time.DateOnly)
}
