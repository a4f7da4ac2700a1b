// Package pagerduty triggers, acknowledges and resolves PagerDuty alerts
// through the Events API v2.
//
// The dedup key is the incident's id, which makes a repeated trigger harmless;
// an alarm anew appends "#2", "#3", … and is an alert of its own. PagerDuty's 202
// means accepted, not paged. It drops, in silence, an acknowledge or resolve
// that comes through another routing key than the trigger did; so this room
// refuses to send one.
package pagerduty

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/PagerDuty/go-pagerduty"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// Notifier sends through one routing key. It is safe for concurrent use.
type Notifier struct {
	cfg         Config
	style       notifiers.Style
	fingerprint string
	client      *pagerduty.Client
}

// New returns a notifier; a nil client means one with a time limit of its own.
func New(cfg Config, style notifiers.Style, client *http.Client) *Notifier {
	cfg = cfg.WithDefaults()
	if client == nil {
		client = notifiers.DefaultClient()
	}
	api := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(cfg.EventsURL))
	// The library loses a 400's reasons and hides transport errors; what was
	// recorded on the wire decides instead.
	api.HTTPClient = notifiers.Recording(client)
	return &Notifier{cfg: cfg, style: style, fingerprint: notifiers.Fingerprint(cfg.RoutingKey), client: api}
}

// Send makes the call for one delivery. See notifiers for the verdict in its error.
func (n *Notifier) Send(ctx context.Context, d incident.Delivery) (notifiers.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return notifiers.Receipt{}, err
	}
	receipt, err := n.send(ctx, d)
	return receipt, notifiers.Redact(err, n.cfg.RoutingKey.Reveal())
}

func (n *Notifier) send(ctx context.Context, d incident.Delivery) (notifiers.Receipt, error) {
	e, err := n.event(d)
	if err != nil {
		return notifiers.Receipt{}, err
	}
	ctx, call := notifiers.Record(ctx)
	_, err = n.client.ManageEventWithContext(ctx, e)
	if err := verdict(call, err); err != nil {
		return notifiers.Receipt{}, err
	}
	return notifiers.Receipt{Answer: e.Action + " accepted for " + e.DedupKey, Fingerprint: n.fingerprint}, nil
}

// event is the whole call for a delivery.
func (n *Notifier) event(d incident.Delivery) (*pagerduty.V2Event, error) {
	e := &pagerduty.V2Event{RoutingKey: n.cfg.RoutingKey.Reveal(), DedupKey: dedupKey(d)}
	switch {
	case d.Kind.Alarms():
		e.Action = "trigger"
	case d.Kind == incident.Acknowledged:
		e.Action = "acknowledge"
	case d.Kind == incident.Resolve:
		e.Action = "resolve"
	default:
		return nil, notifiers.Permanent(fmt.Errorf("a pager takes no %q deliveries", d.Kind))
	}
	if e.Action == "trigger" {
		m := notifiers.Compose(d, n.style)
		e.Client = "datasync-bridge"
		e.Payload = payload(d, m)
		for _, l := range m.Links {
			e.Links = append(e.Links, map[string]string{"href": l.Address, "text": l.Text})
		}
		return e, nil
	}
	if d.Fingerprint != "" && d.Fingerprint != n.fingerprint {
		return nil, notifiers.Permanent(fmt.Errorf(
			"alert %s was triggered through another routing key (fingerprint %s, now %s), and PagerDuty drops this %s; do it there by hand",
			e.DedupKey, notifiers.Clean(d.Fingerprint, 20), n.fingerprint, e.Action))
	}
	return e, nil
}

// maxDedupKey is PagerDuty's limit.
const maxDedupKey = 255

func dedupKey(d incident.Delivery) string {
	key := d.Incident
	if d.Alarm >= 2 {
		key += fmt.Sprintf("#%d", d.Alarm)
	}
	if len(key) > maxDedupKey {
		sum := sha256.Sum256([]byte(key))
		key = strings.ToValidUTF8(key[:maxDedupKey-65], "") + "-" + hex.EncodeToString(sum[:])
	}
	return key
}

// verdict judges PagerDuty's answer. nil means 202: accepted.
func verdict(call *notifiers.Call, err error) error {
	if call.Status == 0 || call.Err != nil {
		return call.Broken(err)
	}
	said := fmt.Errorf("pagerduty answered status %d: %w", call.Status, event.Quoted(reasons(call)))
	switch code := call.Status; {
	case code == http.StatusAccepted:
		return nil
	case code == http.StatusTooManyRequests:
		return notifiers.Wait(call.RetryAfter(time.Now()), said)
	case code == http.StatusRequestTimeout:
		return said
	case code >= 400 && code < 500:
		return notifiers.Permanent(said)
	}
	// Anything else comes from something between us, or from a fault of theirs;
	// a repeated call is harmless.
	return notifiers.Unclear(said)
}

// reasons reads a refusal: {"message", "errors": […]}, or a bare string.
func reasons(call *notifiers.Call) string {
	var answer struct {
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	if json.Unmarshal(call.Body, &answer) != nil || answer.Message == "" && len(answer.Errors) == 0 {
		return call.Words()
	}
	if len(answer.Errors) == 0 {
		return notifiers.Clean(answer.Message, 300)
	}
	return notifiers.Clean(answer.Message+": "+strings.Join(answer.Errors, "; "), 400)
}
