package reconcile

import (
	"strconv"
	"time"

	"datasync-bridge/event"
)

// Own events that this package makes.
const (
	WebhooksQuiet   = "bridge.webhooks_quiet"
	WebhooksResumed = "bridge.webhooks_resumed"
)

// OwnSource is the source of what the bridge tells of itself.
const OwnSource = "bridge"

// OwnEvent is something that the bridge tells of itself: kind is its type
// ("bridge.webhooks_quiet"), subject what it is about ("webhooks of datasync"),
// the same in the event that ends it, and message a sentence for people.
func OwnEvent(kind, subject, message string, env event.Environment, at time.Time) event.Received {
	return event.Made{
		Source: OwnSource, Environment: env, Origin: event.OriginBridge, Type: kind,
		ForeignID: kind + ":" + strconv.FormatInt(at.UnixMicro(), 10),
		Key:       []string{"own", string(env), kind, subject, at.UTC().Format(time.RFC3339Nano)},
		CreatedAt: at,
		Data: map[string]any{
			"bridge": map[string]any{"subject": subject},
			"error":  map[string]any{"message": message},
		},
	}.Received(at)
}
