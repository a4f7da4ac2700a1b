package mapping

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// maxSkew is how far the sender's clock may run ahead (routing rule 15).
const maxSkew = 5 * time.Minute

// Event normalizes a stored event. What cannot be mapped comes back
// quarantined, not as an error: the error is for bytes that are no longer those
// that were accepted.
func (m *Mapping) Event(s event.Stored) (event.Event, error) {
	if s.State == event.Purged {
		return event.Event{}, fmt.Errorf("normalize event %s: its body was purged", s.ID)
	}
	if !intact(s.Received) {
		return event.Event{}, fmt.Errorf("normalize event %s: its stored body is damaged", s.ID)
	}
	ev := event.Event{
		ID: s.ID, Source: s.Source, Environment: s.Environment, Origin: s.Origin,
		Authentic: s.Authentic, Conflict: s.Status == event.Conflict,
		OccurredAt: s.ReceivedAt, ReceivedAt: s.ReceivedAt,
		Effect: event.Note, Class: event.QuarantineClass, Fields: map[string]any{},
	}
	result, cause := read(s.Body)
	if cause != "" {
		ev.Quarantine = cmp.Or(s.Quarantine, cause) // as it came, it may have been withheld since
		return ev, nil
	}
	root := decode(result).(map[string]any)
	look := func(name string, use func(any) bool) {
		for _, at := range m.envelope[name] {
			if v, ok := at.of(root); ok && use(v) {
				return
			}
		}
	}
	look(envelopeType, func(v any) bool { ev.SentType, _ = v.(string); return ev.SentType != "" })
	if sandbox(look) {
		ev.Environment = event.Sandbox
	}
	look(envelopeTime, func(v any) bool {
		at, ok := asTime(v)
		if ok && !at.After(s.ReceivedAt.Add(maxSkew)) {
			ev.OccurredAt = at
		}
		return ok
	})
	if ev.SentType, ev.Quarantine = usable(ev.SentType); ev.Quarantine != "" {
		return ev, nil
	}
	if ev.Data, _ = root["data"].(map[string]any); ev.Data == nil {
		ev.Data = root
	}
	m.fill(ev.Fields, root)
	m.settleType(&ev)
	return ev, nil
}

// intact reports whether a body is the one that was kept. Events that were never
// kept have no hash.
func intact(r event.Received) bool {
	none := [sha256.Size]byte{}
	want := r.BodyHash
	if r.KeptHash != none {
		want = r.KeptHash
	}
	return want == none || sha256.Sum256(r.Body) == want
}

// fill puts the payload's values under the schema's names.
func (m *Mapping) fill(fields map[string]any, root map[string]any) {
	for _, f := range m.fields {
		for _, at := range f.paths {
			v, found := at.of(root)
			if !found {
				continue
			}
			if value, ok := convert(v, f.Kind); ok {
				fields[f.Path] = value
				break
			}
		}
	}
	const maxReferences = 20
	for _, at := range m.references {
		found, _ := at.of(root)
		references, _ := found.(map[string]any)
		for i, key := range sorted(references) {
			name := event.ReferencePrefix + key
			if text := asText(references[key]); text != "" && i < maxReferences && fields[name] == nil {
				fields[name] = text
			}
		}
	}
}

// settleType decides what the event is called and does: by its type, and by
// what the body says against it.
func (m *Mapping) settleType(ev *event.Event) {
	ev.Type = m.canonical(ev.SentType)
	switch ev.Type {
	case failed:
		if final, said := ev.Flag(event.AttemptFinal); said && !final {
			ev.Type = retrying // more attempts are scheduled
		}
	case mdnReceived, mdnFailed:
		settleMDN(ev)
	case ackReceived:
		if rejects(ev) {
			ev.Type = rejected // or a rejection would close the incident it belongs to
		}
	}
	ev.Effect, ev.Known = m.effects[ev.Type]
	foreign := strings.HasPrefix(ev.Type, ofBridge) && ev.Origin != event.OriginBridge
	if !ev.Known || foreign { // whoever calls in must not speak for the bridge
		ev.Effect, ev.Known = event.Note, false
	}
	if strings.HasPrefix(ev.Type, ofBridge) && !foreign {
		ev.Class = event.BridgeClass
		return
	}
	ev.Class = classOf(ev.Type, ev.Text(event.ErrorCategory))
}

// settleMDN believes the disposition over the type's name: an error is a
// failure, a warning is a receipt. A receipt whose signature or MIC did not
// verify proves nothing, and so is a failure too; the document may have arrived.
func settleMDN(ev *event.Event) {
	said, cause := disposition(ev.Text(event.Disposition))
	verified, checked := ev.Flag("mdn.mic_verified")
	unproven := checked && !verified
	switch {
	case said == negative, unproven:
		ev.Type = mdnFailed
	case said == warned:
		ev.Type = mdnReceived
	}
	if ev.Type == mdnFailed && cause == "" && unproven {
		cause = event.Integrity
	}
	if _, given := ev.Fields[event.ErrorCategory]; !given && cause != "" {
		ev.Fields[event.ErrorCategory] = string(cause)
	}
}

// rejects reports whether an acknowledgment says no: by its status, or by an
// X12 code (R rejected; M, W, X for security) of the set, group or interchange.
func rejects(ev *event.Event) bool {
	if status := strings.ToLower(ev.Text(event.AckStatus)); status == "r" || strings.HasPrefix(status, "reject") {
		return true
	}
	codes, _ := ev.Fields["acknowledgment.codes"].([]string)
	return slices.ContainsFunc(codes, func(code string) bool {
		_, value, _ := strings.Cut(code, "=")
		return len(value) == 1 && strings.ContainsAny(value, "RMWX")
	})
}

// classOf lets the type decide first, then the error's category.
func classOf(kind, category string) event.Class {
	switch {
	case kind == "mdn.timeout":
		return event.MDNTimeout
	case kind == mdnFailed:
		return event.MDNNegative
	case strings.HasSuffix(kind, ".rejected"):
		return event.FunctionalReject
	case kind == "acknowledgment.overdue":
		return event.AckOverdue
	case strings.HasPrefix(kind, "sla."):
		return event.SLA
	case strings.HasPrefix(kind, "partner.certificate_"):
		return event.Certificate
	case strings.HasPrefix(kind, "automation."):
		return event.AutomationFault
	}
	for _, c := range event.Categories {
		if string(c) == category {
			return c
		}
	}
	return event.UnknownClass
}
