package config_test

import (
	"strings"
	"testing"

	"datasync-bridge/config"
)

// TestNoSpellingOfASecretIsRepeatedInAFault puts a secret where YAML reads its
// first character as something else, because nobody remembered the quotes.
func TestNoSpellingOfASecretIsRepeatedInAFault(t *testing.T) {
	const canary = "canary-0123456789"
	for _, spelling := range []string{
		"!" + canary, "&" + canary, "*" + canary, "@" + canary, "`" + canary, "%" + canary, "|" + canary, ">" + canary,
		"? " + canary, "- " + canary, "[" + canary, "{" + canary, "]" + canary, "}" + canary,
		`"` + canary + `\q"`, `"` + canary, "'" + canary, canary + ": x", "a: " + canary, "!!" + canary + " x",
		"!<" + canary + "> x", "${" + canary + "}", "<<: " + canary, "\t" + canary + ": x: y",
	} {
		for _, text := range []string{
			small + "datasync:\n  client_id: me\n  client_secret: " + spelling + "\n",
			small + "datasync: {client_id: me, client_secret: " + spelling + "}\n",
		} {
			if _, err := load(t, text, config.Options{}); err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: a fault repeats the secret: %v", spelling, err)
			}
		}
	}
}

func TestAddressesThatAreNeverCalledAreRefusedAtLoad(t *testing.T) {
	for _, notifier := range []string{
		`slack: {token: xoxb-1, channel: C1, api_url: "https://169.254.169.254/api/"}`,
		`slack: {webhook_url: "https://[fd00:ec2::254]/services/canary"}`,
		`pagerduty: {routing_key: "0123456789abcdef0123456789abcdef", events_url: "https://[::ffff:169.254.169.254]"}`,
	} {
		got := faultsOf(t, strings.Replace(small, "terminal: {}", notifier, 1), config.Options{})
		if !strings.Contains(got, "address is refused") {
			t.Errorf("%s: the faults do not name the address:\n%s", notifier, got)
		}
		if strings.Contains(got, "canary") {
			t.Errorf("%s: a fault holds the webhook's path:\n%s", notifier, got)
		}
	}
}
