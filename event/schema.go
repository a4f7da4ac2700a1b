package event

import "strings"

// Kind is what a field of the normalized payload holds.
type Kind uint8

// The Go types behind them stand at Event.Fields.
const (
	KindText Kind = iota
	KindNumber
	KindFlag
	KindTime
	KindTexts
)

// Field is one row of the schema.
type Field struct {
	Path string
	Kind Kind
	// Own reports that the bridge decides the value, not the payload.
	Own bool
}

// Paths that code refers to by name. Schema is the whole list.
const (
	TransactionID     = "transaction.id"
	Direction         = "transaction.direction"
	DocumentType      = "transaction.document_type"
	DocumentName      = "transaction.document_name"
	Interchange       = "transaction.control_numbers.interchange"
	FunctionalGroup   = "transaction.control_numbers.group"
	TransactionSet    = "transaction.control_numbers.transaction_set"
	ReferencePrefix   = "transaction.references."
	PONumber          = "transaction.references.po_number"
	InvoiceNumber     = "transaction.references.invoice_number"
	ShipmentID        = "transaction.references.shipment_id"
	Amount            = "transaction.amount"
	Currency          = "transaction.currency"
	PartnerID         = "partner.id"
	PartnerName       = "partner.name"
	PartnerStatus     = "partner.status"
	ContactName       = "partner.contact.name"
	ContactEmail      = "partner.contact.email"
	ContactPhone      = "partner.contact.phone"
	ContactHours      = "partner.contact.hours"
	Protocol          = "transport.protocol"
	EndpointHost      = "transport.endpoint_host"
	MessageID         = "transport.message_id"
	OriginalMessageID = "mdn.original_message_id"
	Disposition       = "mdn.disposition"
	MDNText           = "mdn.text"
	WaitedSince       = "mdn.waited_since"
	AckKind           = "acknowledgment.kind"
	AckStatus         = "acknowledgment.status"
	AckExpectedBy     = "acknowledgment.expected_by"
	SLAName           = "sla.name"
	SLADue            = "sla.due_at"
	CertificateID     = "certificate.id"
	CertificateRole   = "certificate.role"
	CertificateExpiry = "certificate.not_after"
	DaysRemaining     = "certificate.days_remaining"
	ThresholdDays     = "certificate.threshold_days"
	RunID             = "automation.run_id"
	RunName           = "automation.name"
	RunKey            = "automation.idempotency_key"
	ErrorCode         = "error.code"
	ErrorCategory     = "error.category"
	ErrorMessage      = "error.message"
	ErrorRequestID    = "error.request_id"
	AttemptNumber     = "attempt.number"
	AttemptMax        = "attempt.max"
	AttemptFinal      = "attempt.final"
	NextRetryAt       = "attempt.next_retry_at"
	QueuedBehind      = "queued_transactions"
	DownSince         = "down_since"
	LinkTransaction   = "links.transaction"
	BridgeSubject     = "bridge.subject" // what one of the bridge's own events is about
)

// Schema lists every field that the bridge knows, in the order in which
// documentation prints them. One row here serves mapping, match, conditions
// and templates. Besides, any key under ReferencePrefix is a KindText field.
var Schema = []Field{
	{"id", KindText, true}, {"type", KindText, true}, {"source", KindText, true},
	{"environment", KindText, true}, {"class", KindText, true}, {"severity", KindText, true},
	{"origin", KindText, true}, {"occurred_at", KindTime, true}, {"received_at", KindTime, true},

	{TransactionID, KindText, false}, {Direction, KindText, false},
	{"transaction.standard", KindText, false}, {DocumentType, KindText, false},
	{DocumentName, KindText, false}, {Interchange, KindText, false},
	{FunctionalGroup, KindText, false}, {TransactionSet, KindText, false},
	{PONumber, KindText, false}, {InvoiceNumber, KindText, false}, {ShipmentID, KindText, false},
	{Amount, KindNumber, false}, {Currency, KindText, false},
	{"transaction.status", KindText, false}, {"transaction.occurred_at", KindTime, false},

	{PartnerID, KindText, false}, {PartnerName, KindText, false}, {PartnerStatus, KindText, false}, {ContactName, KindText, false},
	{ContactEmail, KindText, false}, {ContactPhone, KindText, false}, {ContactHours, KindText, false},

	{Protocol, KindText, false}, {EndpointHost, KindText, false}, {MessageID, KindText, false},
	{"transport.mdn_mode", KindText, false}, {"transport.http_status", KindNumber, false},
	{"transport.username", KindText, false}, {"transport.remote_path", KindText, false},
	{"transport.sent_at", KindTime, false},

	{OriginalMessageID, KindText, false}, {Disposition, KindText, false}, {MDNText, KindText, false},
	{"mdn.mode", KindText, false}, {"mdn.mic_verified", KindFlag, false}, {"mdn.late", KindFlag, false},
	{"mdn.timeout_seconds", KindNumber, false}, {WaitedSince, KindTime, false},

	{AckKind, KindText, false}, {AckStatus, KindText, false}, {AckExpectedBy, KindTime, false},
	{"acknowledgment.codes", KindTexts, false}, {"acknowledgment.errors", KindTexts, false},

	{"sla.id", KindText, false}, {SLAName, KindText, false}, {SLADue, KindTime, false},
	{"sla.violated_at", KindTime, false}, {"sla.remaining_seconds", KindNumber, false},
	{"sla.state", KindText, false}, {"sla.estimated_penalty", KindText, false},

	{CertificateID, KindText, false}, {CertificateRole, KindText, false},
	{"certificate.subject", KindText, false}, {"certificate.sha256_fingerprint", KindText, false},
	{CertificateExpiry, KindTime, false}, {DaysRemaining, KindNumber, false}, {ThresholdDays, KindNumber, false},

	{RunID, KindText, false}, {RunName, KindText, false}, {RunKey, KindText, false},
	{"automation.status", KindText, false}, {"automation.attempt", KindNumber, false},
	{"automation.requested_by", KindText, false},

	{ErrorCode, KindText, false}, {ErrorCategory, KindText, false}, {ErrorMessage, KindText, false},
	{"error.retryable", KindFlag, false}, {ErrorRequestID, KindText, false},

	{AttemptNumber, KindNumber, false}, {AttemptMax, KindNumber, false},
	{AttemptFinal, KindFlag, false}, {NextRetryAt, KindTime, false},

	{QueuedBehind, KindNumber, false}, {DownSince, KindTime, false}, {"recovered", KindFlag, false},
	{LinkTransaction, KindText, false}, {BridgeSubject, KindText, false},
}

var schemaByPath = func() map[string]Field {
	m := make(map[string]Field, len(Schema))
	for _, f := range Schema {
		m[f.Path] = f
	}
	return m
}()

// FieldAt returns the schema's row for a path, and whether there is one. Paths
// under "data." are not in the schema: what they hold is known only at run time.
func FieldAt(path string) (Field, bool) {
	if f, ok := schemaByPath[path]; ok {
		return f, true
	}
	if key, ok := strings.CutPrefix(path, ReferencePrefix); ok && key != "" {
		return Field{Path: path, Kind: KindText}, true
	}
	return Field{}, false
}
