package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	secret          = "bench-secret-of-more-than-16-bytes"
	signatureHeader = "X-Datasync-Signature"
	signaturePrefix = "sha256="
	routingKey      = "0123456789abcdef0123456789abcdef"
	partners        = 1000
)

// filler makes a body 1 KB long.
var filler = strings.Repeat("invoice not delivered; ", 29)

// body is the n-th event: 1 KB, of one of a thousand partners.
func body(n int64) string {
	return fmt.Sprintf(`{"id":"evt_%012d","type":"transaction.failed","created_at":"%s","environment":"production",`+
		`"data":{"transaction":{"id":"txn_%012d","document_type":"856"},"partner":{"id":"par_%03d"},"error":{"category":"connectivity"},"note":"%s"}}`,
		n, time.Now().UTC().Format(time.RFC3339), n, n%partners, filler)
}

type signer struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

var signers = sync.Pool{New: func() any { return &signer{mac: hmac.New(sha256.New, []byte(secret))} }}

// signed is a signed event as Datasync would post it.
func signed(into []byte, n int64) []byte {
	text := body(n)
	s := signers.Get().(*signer) //nolint:forcetypeassert // the pool holds nothing else
	defer signers.Put(s)
	s.mac.Reset()
	_, _ = s.mac.Write([]byte(text))
	into = fmt.Appendf(into, "POST /hooks/datasync HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n%s: %s", signatureHeader, signaturePrefix)
	into = hex.AppendEncode(into, s.mac.Sum(s.sum[:0]))
	into = fmt.Appendf(into, "\r\nContent-Length: %d\r\n\r\n", len(text))
	return append(into, text...)
}

// alert is what Alertmanager takes for the same event.
func alert(into []byte, n int64) []byte {
	text := fmt.Sprintf(`[{"labels":{"alertname":"transaction.failed","transaction":"txn_%012d","document_type":"856","partner":"par_%03d","category":"connectivity"},"annotations":{"note":"%s"}}]`,
		n, n%partners, filler)
	into = fmt.Appendf(into, "POST /api/v2/alerts HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(text))
	return append(into, text...)
}

// configure writes the configuration of the bridge's rungs.
func configure(dir, eventsURL string) error {
	text := fmt.Sprintf(`version: 1
server: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
store: {sqlite: {path: %q}}
sources:
  - name: datasync
    path: /hooks/datasync
    verify:
      scheme: custom
      secrets: [{id: s1, value: %q}]
      signature: {header: %s, prefix: %q, encoding: hex}
      signed: ["{body}"]
notifiers:
  - name: pager
    pagerduty: {routing_key: %q, events_url: %q}
defaults: {notify: [pager], group: {by: [partner.id, class]}}
`, filepath.Join(dir, "data", "bridge.db"), secret, signatureHeader, signaturePrefix, routingKey, eventsURL)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o600)
}
