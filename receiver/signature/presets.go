package signature

import "time"

// preset is a known sender's scheme, in the same fields as a custom one.
type preset struct {
	Config
	// secretEncoding is what a secret without an encoding of its own has.
	secretEncoding string
}

const (
	schemeCustom = "custom"
	schemeNone   = "none"

	encodingHex    = "hex"
	encodingBase64 = "base64"
	encodingUTF8   = "utf8"
	encodingWhsec  = "whsec"

	formatUnix      = "unix"
	formatUnixMilli = "unix_ms"
	formatRFC3339   = "rfc3339"

	defaultTolerance = 5 * time.Minute
)

var unsigned = true

// presets follow what each sender documents (ingest rule 2). Where the id that
// a sender repeats with each try is not covered by its signature it is marked
// unsigned, and so counts only together with the body.
var presets = map[string]preset{
	schemeCustom: {Config{
		Signature: written("", "", encodingHex, "", ""),
		Signed:    []string{"{body}"},
	}, encodingUTF8},
	schemeNone: {},
	"github": {Config{
		Signature: written("X-Hub-Signature-256", "sha256=", encodingHex, "", ""),
		Signed:    []string{"{body}"},
		ID:        ID{Header: new("X-GitHub-Delivery"), Path: new(""), Unsigned: &unsigned},
	}, encodingUTF8},
	// Stripe's key is the whole string, "whsec_" included.
	"stripe": {Config{
		Signature: written("Stripe-Signature", "", encodingHex, ",", "v1"),
		Timestamp: stamped("", "t", formatUnix),
		Signed:    []string{"{timestamp}", ".", "{body}"},
		ID:        ID{Path: new("id")},
	}, encodingUTF8},
	"slack": {Config{
		Signature: written("X-Slack-Signature", "v0=", encodingHex, "", ""),
		Timestamp: stamped("X-Slack-Request-Timestamp", "", formatUnix),
		Signed:    []string{"v0:", "{timestamp}", ":", "{body}"},
		ID:        ID{Path: new("event_id")},
	}, encodingUTF8},
	"shopify": {Config{
		Signature: written("X-Shopify-Hmac-SHA256", "", encodingBase64, "", ""),
		Signed:    []string{"{body}"},
		ID:        ID{Header: new("X-Shopify-Webhook-Id"), Path: new(""), Unsigned: &unsigned},
	}, encodingUTF8},
	"standard-webhooks": standardWebhooks("webhook-"),
	"svix":              standardWebhooks("svix-"),
	"pagerduty": {Config{
		Signature: written("X-PagerDuty-Signature", "v1=", encodingHex, ",", ""),
		Signed:    []string{"{body}"},
		ID:        ID{Path: new("event.id")},
	}, encodingUTF8},
	"zendesk": {Config{
		Signature: written("X-Zendesk-Webhook-Signature", "", encodingBase64, "", ""),
		Timestamp: stamped("X-Zendesk-Webhook-Signature-Timestamp", "", formatRFC3339),
		Signed:    []string{"{timestamp}", "{body}"},
		// A Zendesk body is whatever its administrator wrote; an "id" in it may
		// be a ticket's, the same for many events.
		ID: ID{Header: new("X-Zendesk-Webhook-Invocation-Id"), Path: new(""), Unsigned: &unsigned},
	}, encodingUTF8},
	"paddle": {Config{
		Signature: written("Paddle-Signature", "", encodingHex, ";", "h1"),
		Timestamp: stamped("", "ts", formatUnix),
		Signed:    []string{"{timestamp}", ":", "{body}"},
		ID:        ID{Path: new("event_id")},
	}, encodingUTF8},
	"square": {Config{
		Signature: written("x-square-hmacsha256-signature", "", encodingBase64, "", ""),
		Signed:    []string{"{url}", "{body}"},
		ID:        ID{Path: new("event_id")},
	}, encodingUTF8},
}

// standardWebhooks is one construction under two families of header names.
func standardWebhooks(family string) preset {
	return preset{Config{
		Signature: written(family+"signature", "v1,", encodingBase64, " ", ""),
		Timestamp: stamped(family+"timestamp", "", formatUnix),
		Signed:    []string{"{id}", ".", "{timestamp}", ".", "{body}"},
		ID:        ID{Header: new(family + "id"), Path: new("")},
	}, encodingWhsec}
}

func written(header, prefix, encoding, separator, key string) Header {
	return Header{Header: &header, Prefix: &prefix, Encoding: &encoding, ListSeparator: &separator, Key: &key}
}

// stamped without a header leaves it to follow the signature's.
func stamped(header, key, format string) Timestamp {
	t := Timestamp{Key: &key, Format: &format, Tolerance: new(defaultTolerance)}
	if header != "" {
		t.Header = &header
	}
	return t
}

// Presets returns the names that Config.Scheme takes, besides custom and none.
func Presets() []string {
	return []string{
		"github", "paddle", "pagerduty", "shopify", "slack",
		"square", "standard-webhooks", "stripe", "svix", "zendesk",
	}
}
