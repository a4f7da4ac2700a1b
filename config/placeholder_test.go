package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"datasync-bridge/config"
)

func TestThePlaceholdersFitEveryKeyThatHoldsASecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := `
version: 1
server: {listen: "${LISTEN}", public_url: "https://${HOST}/hooks"}
store: {sqlite: {path: "${HOME}/bridge.db"}}
sources:
  - name: hex
    path: /hooks/hex
    verify: {scheme: github, secrets: [{id: a, value: "${SECRET_A}"}]}
  - name: file
    path: /hooks/file
    verify: {scheme: standard-webhooks, secrets: [{id: b, value_file: /run/secrets/nowhere}]}
datasync: {base_url: "${BASE}", client_id: "${ID}", client_secret: "${SECRET_C}"}
notifiers:
  - {name: bot, slack: {token: "${TOKEN}", channel: C0123ABCD}}
  - {name: hook, slack: {webhook_url: "${HOOK}"}}
  - {name: pager, pagerduty: {routing_key_file: /run/secrets/nowhere}}
outbound: {proxy: "${PROXY}"}
defaults: {notify: [bot]}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path, config.Options{Placeholders: true}); err != nil {
		t.Errorf("with placeholders it does not load:\n%v", err)
	}
	if _, err := config.Load(path, config.Options{}); err == nil {
		t.Error("without them it loads though nothing is set")
	}
}
