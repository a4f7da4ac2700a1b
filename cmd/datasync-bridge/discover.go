package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"datasync-bridge/event"
	"datasync-bridge/receiver/signature"
)

// maxCapture bounds a captured request; a body may be as long as the bridge
// takes unless it is told otherwise.
const maxCapture = 2 << 20

type discovering struct {
	body, secretFile, url string
}

func (c *cli) verifyCommand() *cobra.Command {
	verify := &cobra.Command{
		Use: "verify", Short: "Find out how a sender signs", Args: cobra.NoArgs,
		Example: "  datasync-bridge verify discover request.txt --secret-file secret.txt",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var o discovering
	cmd := &cobra.Command{
		Use:   "discover REQUEST",
		Short: "Find the signature scheme from one captured request",
		Long: `Find the signature scheme from one captured request, off line, and print the
verify block for it. REQUEST is a file with the raw request: its headers, an empty
line, and the body byte for byte; or the headers alone, with --body. The secret comes
from --secret-file, or else from standard input; it is never printed.

Tried are the presets, and every combination of header, prefix, hex or base64, signed
text, and way to make a key of the secret. The safest match comes first: one that
signs the time cannot be sent again by somebody who listened.`,
		Example: `  datasync-bridge verify discover request.txt --secret-file secret.txt
  datasync-bridge verify discover headers.txt --body body.json < secret.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return c.discover(args[0], o) },
	}
	cmd.Flags().StringVar(&o.body, "body", "", "the body, byte for byte, in a `file` of its own")
	cmd.Flags().StringVar(&o.secretFile, "secret-file", "", "`file` with the secret; default: standard input")
	cmd.Flags().StringVar(&o.url, "url", "", "the `address` that was called, for schemes that sign it")
	verify.AddCommand(cmd)
	return verify
}

func (c *cli) discover(path string, o discovering) error {
	capture, err := readBounded(path)
	if err != nil {
		return err
	}
	headers, body, err := splitRequest(capture)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if o.body != "" {
		if body, err = readBounded(o.body); err != nil {
			return err
		}
	}
	secret, err := c.readSecret(o.secretFile)
	if err != nil {
		return err
	}
	d := signature.Discover(headers, body, secret, o.url)
	note := ""
	if trimmed := bytes.TrimRight(body, "\r\n"); len(d.Found) == 0 && len(trimmed) < len(body) {
		tried := d.Tried
		d = signature.Discover(headers, trimmed, secret, o.url)
		d.Tried += tried
		note = "# It fits the body without the line break at its end, which the capture must have added.\n"
	}
	if len(d.Found) == 0 {
		return notDiscovered(d, headers)
	}
	fmt.Fprint(c.out, note)
	fmt.Fprint(c.out, verifyBlock(d.Found[0]))
	if more := d.Found[1:]; len(more) > 0 {
		fmt.Fprintf(c.err, "%s would verify this request as well; the one above is the safest.\n", count(len(more), "other combination"))
	}
	if !d.Found[0].Timestamped {
		fmt.Fprintln(c.err, "No time is signed: a request can be sent again by whoever saw it, and is recognised as a duplicate for as long as store.retain.events.")
	}
	fmt.Fprintln(c.err, "Put it below the source, set the secret, and run `datasync-bridge check`.")
	return nil
}

// notDiscovered says what was looked at, and what to look at next.
func notDiscovered(d signature.Discovery, headers http.Header) error {
	if len(d.Headers) == 0 {
		names := make([]string, 0, len(headers))
		for name := range headers {
			names = append(names, name)
		}
		return fmt.Errorf("no header of this request holds an HMAC SHA-256 in hex or base64 (32 bytes): it has %s; "+
			"look for the one that is called signature, or ask the sender which algorithm it uses", strings.Join(sorted(names), ", "))
	}
	return fmt.Errorf("none of %d combinations gives the signature in %s: is it the secret of this subscription, "+
		"and is the body exactly as it was sent (not reformatted, not re-encoded)? If the address is signed, add --url",
		d.Tried, strings.Join(d.Headers, ", "))
}

// splitRequest takes a captured request apart. The marks that curl puts before
// lines are dropped, and the request line passed over.
func splitRequest(capture []byte) (http.Header, []byte, error) {
	head, body := capture, []byte(nil)
	at := -1
	for _, end := range []string{"\r\n\r\n", "\n\n"} {
		if k := bytes.Index(capture, []byte(end)); k >= 0 && (at < 0 || k < at) {
			at, head, body = k, capture[:k], capture[k+len(end):]
		}
	}
	headers := http.Header{}
	for line := range strings.Lines(string(head)) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "> "))
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(name, " \t") { // the request line, or nothing
			continue
		}
		headers[textproto.CanonicalMIMEHeaderKey(name)] = append(headers.Values(name), strings.TrimSpace(value))
	}
	switch {
	case len(headers) == 0:
		return nil, nil, errors.New("no header is in it; a request begins with lines like \"X-Signature: …\"")
	case strings.EqualFold(headers.Get("Transfer-Encoding"), "chunked"):
		return nil, nil, errors.New("its body is chunked; give the body that was assembled with --body, and leave Transfer-Encoding out")
	}
	return headers, body, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(file, maxCapture+1))
	if err == nil && len(text) > maxCapture {
		err = fmt.Errorf("%s is longer than %d MiB", path, maxCapture>>20)
	}
	return text, err
}

func (c *cli) readSecret(path string) (event.Secret, error) {
	var text []byte
	var err error
	if path != "" {
		text, err = readBounded(path)
	} else {
		if isTerminal(c.in) {
			fmt.Fprintln(c.err, "The secret, then Ctrl-D:")
		}
		text, err = io.ReadAll(io.LimitReader(c.in, 64<<10))
	}
	if err != nil {
		return "", err
	}
	secret := event.Secret(strings.TrimRight(string(text), "\r\n"))
	if secret == "" {
		return "", usagef("the secret is empty; give it in a file with --secret-file, or on standard input")
	}
	return secret, nil
}

// verifyBlock writes what belongs below a source.
func verifyBlock(f signature.Found) string {
	var b strings.Builder
	secret := `{id: s1, value: "${DATASYNC_WEBHOOK_SECRET}"` // #nosec G101 -- a variable's name
	if encoding := f.Secrets[0].Encoding; encoding != "" && encoding != "utf8" {
		secret += ", encoding: " + encoding
	}
	fmt.Fprintf(&b, "    verify:\n      scheme: %s\n      secrets:\n        - %s}\n", f.Scheme, secret)
	if f.Preset {
		return b.String()
	}
	s, t := f.Signature, f.Timestamp
	fmt.Fprintf(&b, "      signature: %s\n", flow(field{"header", s.Header}, field{"prefix", s.Prefix}, field{"encoding", s.Encoding},
		field{"list_separator", s.ListSeparator}, field{"key", s.Key}))
	if f.Timestamped {
		fmt.Fprintf(&b, "      timestamp: %s\n", flow(field{"header", t.Header}, field{"key", t.Key}, field{"format", t.Format}))
	}
	if f.ID.Header != nil {
		fmt.Fprintf(&b, "      id: %s\n", flow(field{"header", f.ID.Header}))
	}
	quoted := make([]string, len(f.Signed))
	for k, part := range f.Signed {
		quoted[k] = fmt.Sprintf("%q", part)
	}
	fmt.Fprintf(&b, "      signed: [%s]\n", strings.Join(quoted, ", "))
	return b.String()
}

type field struct {
	key   string
	value *string
}

// flow writes the fields that are set as YAML on one line.
func flow(fields ...field) string {
	var parts []string
	for _, f := range fields {
		if f.value != nil && *f.value != "" {
			parts = append(parts, fmt.Sprintf("%s: %q", f.key, *f.value))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
