package mapping

import "datasync-bridge/event"

// Canonical types whose meaning the mapping itself must know, because a body
// can say more than its type does.
const (
	retrying    = "transaction.retrying"
	failed      = "transaction.failed"
	mdnReceived = "mdn.received"
	mdnFailed   = "mdn.failed"
	ackReceived = "acknowledgment.received"
	rejected    = "transaction.rejected"
	ofBridge    = "bridge." // begins what the bridge tells of itself
)

// profile is what the bridge assumes about a platform's payloads. Datasync
// documents the names transaction.failed and mdn.timeout and three families of
// events; everything else here is an assumption that a source's mapping block
// can change.
type profile struct {
	// paths are tried in order. A field of the schema that is not listed here,
	// and after those that are, is looked for under "data." and at the root.
	paths   map[string][]string
	aliases map[string]string
	effects map[string]event.Effect
}

// The envelope's fields, beside those of the schema.
const (
	envelopeType        = "type"
	envelopeID          = "id"
	envelopeTime        = "created_at"
	envelopeEnvironment = "environment"
	envelopeLive        = "livemode"
)

var profiles = map[string]profile{"datasync": datasync}

var datasync = profile{
	paths: map[string][]string{
		envelopeType: {"type", "event_type", "eventType", "event.type", "event.event_type", "event", "topic"},
		envelopeID:   {"id", "event_id", "eventId", "event.id"},
		envelopeTime: {
			"created_at", "createdAt", "occurred_at", "occurredAt", "timestamp",
			"time", "created", "event.occurred_at", "event.created_at",
		},
		envelopeEnvironment: {"environment", "env", "mode", "data.environment", "event.environment"},
		envelopeLive:        {"livemode", "live_mode", "live"},

		event.TransactionID: {
			"data.transaction.id", "data.transaction_id", "data.transactionId", "transaction.id", "transaction_id",
			"resource[type=transaction].id", "relatedResources[type=transaction].id", "related_resources[type=transaction].id",
		},
		event.PartnerID: {
			"data.partner.id", "data.partner_id", "data.partnerId", "partner.id", "partner_id",
			"resource[type=partner].id", "relatedResources[type=partner].id", "related_resources[type=partner].id",
		},
		event.DocumentType: {
			"data.transaction.document_type", "data.document_type", "transaction.document_type", "document_type",
			"relatedResources[type=document_type].id", "related_resources[type=document_type].id",
		},
		event.CertificateID: {"data.certificate.id", "data.certificate_id", "certificate.id", "resource[type=certificate].id"},
		event.RunID:         {"data.automation.run_id", "data.run_id", "automation.run_id", "resource[type=automation].id"},
		event.PartnerName:   {"data.partner.name", "data.partner_name", "partner.name", "partner_name"},
		event.Amount: {
			"data.transaction.amount.value", "data.transaction.amount", "data.amount.value",
			"transaction.amount.value", "transaction.amount",
		},
		event.Currency: {
			"data.transaction.amount.currency", "data.transaction.currency", "data.amount.currency",
			"transaction.amount.currency", "transaction.currency",
		},
		event.MessageID:         {"data.transport.message_id", "data.message_id", "transport.message_id", "message_id"},
		event.OriginalMessageID: {"data.mdn.original_message_id", "data.original_message_id", "mdn.original_message_id"},
		event.ErrorMessage:      {"data.error.message", "data.error", "data.message", "error.message", "error"},
		"sla.estimated_penalty": {"data.sla.estimated_penalty", "data.sla.estimated_penalty.value", "sla.estimated_penalty"},
	},
	aliases: map[string]string{
		"transaction.recovered":   "transaction.delivered",
		"transaction.completed":   "transaction.delivered",
		"acknowledgment.rejected": rejected,
		"mdn.negative":            mdnFailed,
		"mdn.rejected":            mdnFailed,
		"sla.missed":              "sla.violated",
		"sla.breached":            "sla.violated",
		"ping":                    "webhook.test",
	},
	effects: map[string]event.Effect{
		retrying:                       event.None,
		failed:                         event.Open,
		"transaction.delivered":        event.Settle,
		rejected:                       event.Open,
		"acknowledgment.overdue":       event.Open,
		ackReceived:                    event.Settle,
		"mdn.timeout":                  event.Open,
		mdnReceived:                    event.Settle,
		mdnFailed:                      event.Open,
		"sla.warning":                  event.Open,
		"sla.violated":                 event.Open,
		"partner.certificate_expiring": event.Open,
		"partner.certificate_expired":  event.Open,
		"partner.certificate_updated":  event.Settle,
		"partner.connection_failed":    event.Open,
		"partner.connection_restored":  event.Settle,
		"automation.completed":         event.Settle,
		"automation.failed":            event.Open,
		"webhook.test":                 event.None,

		// What the bridge finds out by itself, by polling and about itself.
		"transaction.cleared":            event.Settle,
		ofBridge + "webhooks_quiet":      event.Open,
		ofBridge + "webhooks_resumed":    event.Settle,
		ofBridge + "signatures_failing":  event.Open,
		ofBridge + "signatures_verified": event.Settle,
		ofBridge + "delivery_dead":       event.Open,
		ofBridge + "delivery_restored":   event.Settle,
		ofBridge + "queue_old":           event.Open,
		ofBridge + "queue_drained":       event.Settle,
		ofBridge + "store_degraded":      event.Open,
		ofBridge + "store_restored":      event.Settle,
		ofBridge + "mapping_broken":      event.Open,
		ofBridge + "mapping_mended":      event.Settle,
		ofBridge + "config_rejected":     event.Open,
		ofBridge + "config_accepted":     event.Settle,
	},
}
