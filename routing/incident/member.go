package incident

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
)

const (
	defaultMembers = 20
	maxMembers     = 100
	maxHandles     = 8 // and maxCauses
	// maxHandle bounds a handle in bytes; a longer one is replaced by its hash.
	maxHandle = 200
)

// memberID names what an event is about. A partner's connection comes only
// from events on connections: every AS2 event names a partner and a protocol,
// and would else be about the connection.
func memberID(ev event.Event) string {
	for _, level := range []level{byBridge, byTransaction, byCertificate, byConnection, byRun, byMessage} {
		if handles := level(ev); len(handles) > 0 {
			return handles[0]
		}
	}
	return handle("ev", ev.ID)
}

// level is one way to find what an event is about; it gives no handle where
// the event does not name it.
type level func(event.Event) []string

// families join the beginning and the end of one of the bridge's own troubles.
var families = map[string]string{
	"webhooks_quiet": "webhooks", "webhooks_resumed": "webhooks",
	"signatures_failing": "signatures", "signatures_verified": "signatures",
	"delivery_dead": "delivery", "delivery_restored": "delivery",
	"queue_old": "queue", "queue_drained": "queue",
	"store_degraded": "store", "store_restored": "store",
	"mapping_broken": "mapping", "mapping_mended": "mapping",
	"config_rejected": "config", "config_accepted": "config",
}

// byBridge is what the bridge tells of itself. Whoever else sends such a type
// is not believed.
func byBridge(ev event.Event) []string {
	kind, own := strings.CutPrefix(ev.Type, "bridge.")
	if !own || ev.Origin != event.OriginBridge {
		return nil
	}
	return []string{handle("bridge", cmp.Or(families[kind], kind), ev.Text(event.BridgeSubject))}
}

// TransactionHandle is the handle of all members that are about a transaction.
func TransactionHandle(id string) string { return handle("txn", id) }

func byTransaction(ev event.Event) []string { return named("txn", ev.Text(event.TransactionID)) }
func byCertificate(ev event.Event) []string { return named("cert", ev.Text(event.CertificateID)) }
func byRun(ev event.Event) []string         { return named("run", ev.Text(event.RunID)) }

func byConnection(ev event.Event) []string {
	partner := ev.Text(event.PartnerID)
	if partner == "" || !strings.HasPrefix(ev.Type, "partner.connection_") {
		return nil
	}
	return []string{handle("conn", partner, strings.ToUpper(ev.Text(event.Protocol)))}
}

// byUnnamedProtocol is the partner's connection where only one side, the
// failure or the recovery, names a protocol.
func byUnnamedProtocol(ev event.Event) []string {
	if byConnection(ev) == nil || ev.Text(event.Protocol) == "" {
		return byAnyProtocol(ev)
	}
	return []string{handle("conn", ev.Text(event.PartnerID), "")}
}

// byAnyProtocol finds every connection of the partner.
func byAnyProtocol(ev event.Event) []string {
	if byConnection(ev) == nil {
		return nil
	}
	return []string{handle("conns", ev.Text(event.PartnerID))}
}

// byMessage names the AS2 message. On an MDN event the message id may be the
// MDN's own, so the original comes first.
func byMessage(ev event.Event) []string {
	own, original := ev.Text(event.MessageID), ev.Text(event.OriginalMessageID)
	if strings.HasPrefix(ev.Type, "mdn.") {
		own, original = original, own
	}
	return appendNew(named("msg", own), named("msg", original)...)
}

func byInterchange(ev event.Event) []string {
	partner, number := ev.Text(event.PartnerID), ev.Text(event.Interchange)
	if partner == "" || number == "" {
		return nil
	}
	return []string{handle("icn", partner, ev.Text(event.Direction), ev.Text(event.DocumentType), number)}
}

// bySet is the interchange with group and set number: one document of it.
func bySet(ev event.Event) []string {
	set := ev.Text(event.TransactionSet)
	if set == "" || byInterchange(ev) == nil {
		return nil
	}
	return []string{handle("icn", ev.Text(event.PartnerID), ev.Text(event.Direction),
		ev.Text(event.DocumentType), ev.Text(event.Interchange), ev.Text(event.FunctionalGroup), set)}
}

// partnerHandle lets connection_restored find the incidents it concerns.
func partnerHandle(ev event.Event) string {
	if id := ev.Text(event.PartnerID); id != "" {
		return handle("partner", id)
	}
	return ""
}

// thresholdHandle names one warning of one certificate, "" for other events.
func thresholdHandle(ev event.Event) string {
	days, ok := ev.Lookup(event.ThresholdDays)
	id := ev.Text(event.CertificateID)
	number, isNumber := days.(float64)
	if !ok || !isNumber || id == "" || ev.Type != typeExpiring {
		return ""
	}
	return handle("threshold", id, ev.Time(event.CertificateExpiry).UTC().Format(time.RFC3339), formatNumber(number))
}

func named(prefix, text string) []string {
	if text == "" {
		return nil
	}
	return []string{handle(prefix, text)}
}

var separators = strings.NewReplacer("%", "%25", "|", "%7C")

// handle joins parts so that no text from outside can forge another handle.
func handle(prefix string, parts ...string) string {
	for i, p := range parts {
		parts[i] = separators.Replace(p)
	}
	text := prefix + ":" + strings.Join(parts, "|")
	if len(text) <= maxHandle {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return prefix + ":sha256-" + hex.EncodeToString(sum[:])
}

func appendNew(list []string, more ...string) []string {
	for _, s := range more {
		if s != "" && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// memberOf makes the member that an opening event is about.
func memberOf(ev event.Event, severity event.Severity, at time.Time) Member {
	m := Member{
		ID: memberID(ev), Class: ev.Class, Open: true, Severity: severity,
		OpenedAt: at, OccurredAt: ev.OccurredAt, Due: dueOf(ev), Event: ev.ID,
		Transaction:  cut(ev.Text(event.TransactionID), 200),
		DocumentType: cut(ev.Text(event.DocumentType), 40),
		DocumentName: cut(ev.Text(event.DocumentName), 80),
		Reference:    reference(ev),
		Partner:      cut(cmp.Or(ev.Text(event.PartnerName), ev.Text(event.PartnerID)), 200),
		PartnerID:    cut(ev.Text(event.PartnerID), 200),
		Group:        cut(ev.Text(event.FunctionalGroup), 100),
		Set:          cut(ev.Text(event.TransactionSet), 100),
		Origin:       ev.Origin, Unsigned: !ev.Authentic,
	}
	m.Handles = appendNew(m.Handles, m.ID)
	for _, level := range []level{byTransaction, byMessage, byInterchange} {
		m.Handles = appendNew(m.Handles, level(ev)...)
	}
	m.Handles = appendNew(m.Handles, byAnyProtocol(ev)...)
	if strings.HasPrefix(ev.Type, "automation.") {
		m.Handles = appendNew(m.Handles, byRun(ev)...)
	}
	return m
}

// again is a member that was open already and opens once more.
func (m Member) again(prior Member) Member {
	m.Severity = max(m.Severity, prior.Severity)
	m.OpenedAt, m.Origin = prior.OpenedAt, prior.Origin
	m.Unsigned = m.Unsigned && prior.Unsigned
	if prior.OccurredAt.After(m.OccurredAt) {
		m.OccurredAt = prior.OccurredAt
	}
	if m.Due.IsZero() {
		m.Due = prior.Due
	}
	m.Handles = m.handlesBeside(prior)
	m.DocumentType = cmp.Or(m.DocumentType, prior.DocumentType)
	m.DocumentName = cmp.Or(m.DocumentName, prior.DocumentName)
	m.Reference = cmp.Or(m.Reference, prior.Reference)
	m.Partner = cmp.Or(m.Partner, prior.Partner)
	m.PartnerID = cmp.Or(m.PartnerID, prior.PartnerID)
	m.Group = cmp.Or(m.Group, prior.Group)
	m.Set = cmp.Or(m.Set, prior.Set)
	return m
}

// dueOf is the deadline that an event names, zero for none.
func dueOf(ev event.Event) time.Time {
	if due := ev.Time(event.SLADue); !due.IsZero() {
		return due
	}
	if strings.HasPrefix(ev.Type, "partner.certificate_") {
		return ev.Time(event.CertificateExpiry)
	}
	return time.Time{}
}

func reference(ev event.Event) string {
	for _, path := range []string{event.PONumber, event.InvoiceNumber, event.ShipmentID} {
		if text := ev.Text(path); text != "" {
			return cut(text, 80)
		}
	}
	var paths []string
	for path := range ev.Fields {
		if strings.HasPrefix(path, event.ReferencePrefix) && ev.Text(path) != "" {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return ""
	}
	return cut(ev.Text(slices.Min(paths)), 80)
}

// cut bounds a text by runes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

func formatNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
