package mapping_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver/mapping"
)

func TestCatalogueHasItsEffectsAndClasses(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	for _, tt := range []struct {
		sent, canonical string
		effect          event.Effect
		class           event.Class
	}{
		{"transaction.retrying", "transaction.retrying", event.None, event.Storage},
		{"transaction.failed", "transaction.failed", event.Open, event.Storage},
		{"transaction.delivered", "transaction.delivered", event.Settle, event.Storage},
		{"transaction.recovered", "transaction.delivered", event.Settle, event.Storage},
		{"transaction.completed", "transaction.delivered", event.Settle, event.Storage},
		{"transaction.rejected", "transaction.rejected", event.Open, event.FunctionalReject},
		{"acknowledgment.rejected", "transaction.rejected", event.Open, event.FunctionalReject},
		{"acknowledgment.overdue", "acknowledgment.overdue", event.Open, event.AckOverdue},
		{"acknowledgment.received", "acknowledgment.received", event.Settle, event.Storage},
		{"mdn.timeout", "mdn.timeout", event.Open, event.MDNTimeout},
		{"mdn.received", "mdn.received", event.Settle, event.Storage},
		{"mdn.failed", "mdn.failed", event.Open, event.MDNNegative},
		{"mdn.negative", "mdn.failed", event.Open, event.MDNNegative},
		{"mdn.rejected", "mdn.failed", event.Open, event.MDNNegative},
		{"sla.warning", "sla.warning", event.Open, event.SLA},
		{"sla.violated", "sla.violated", event.Open, event.SLA},
		{"sla.missed", "sla.violated", event.Open, event.SLA},
		{"sla.breached", "sla.violated", event.Open, event.SLA},
		{"partner.certificate_expiring", "partner.certificate_expiring", event.Open, event.Certificate},
		{"partner.certificate_expired", "partner.certificate_expired", event.Open, event.Certificate},
		{"partner.certificate_updated", "partner.certificate_updated", event.Settle, event.Certificate},
		{"partner.connection_failed", "partner.connection_failed", event.Open, event.Storage},
		{"partner.connection_restored", "partner.connection_restored", event.Settle, event.Storage},
		{"automation.completed", "automation.completed", event.Settle, event.AutomationFault},
		{"automation.failed", "automation.failed", event.Open, event.AutomationFault},
		{"webhook.test", "webhook.test", event.None, event.Storage},
		{"ping", "webhook.test", event.None, event.Storage},
		{"partner.renamed", "partner.renamed", event.Note, event.Storage},
		{"transaction.cleared", "transaction.cleared", event.Settle, event.Storage},
	} {
		ev := normalize(t, m, fmt.Sprintf(`{"type":%q,"data":{"error":{"category":"storage"}}}`, tt.sent))
		if ev.Type != tt.canonical || ev.SentType != tt.sent || ev.Effect != tt.effect || ev.Class != tt.class {
			t.Errorf("%s: type %q, effect %q, class %q; want %q, %q, %q", tt.sent, ev.Type, ev.Effect, ev.Class, tt.canonical, tt.effect, tt.class)
		}
		if known := slices.Contains(m.Types(), tt.canonical); ev.Known != known || known != (tt.effect != event.Note) {
			t.Errorf("%s: known %v, listed %v", tt.sent, ev.Known, known)
		}
		if alias := m.Aliases()[tt.sent]; alias != "" && alias != tt.canonical {
			t.Errorf("%s: alias of %q, want %q", tt.sent, alias, tt.canonical)
		}
	}
	if n := len(m.Types()); n != 34 {
		t.Errorf("%d canonical types, want 34", n)
	}
}

func TestRouting40_OnlyTheBridgeSpeaksOfItself(t *testing.T) {
	m := mustNew(t, mapping.Config{
		Aliases: map[string]string{"silence": "bridge.webhooks_quiet"},
		Effects: map[string]event.Effect{"bridge.queue_old": event.Note},
	})
	for _, tt := range []struct {
		sent   string
		origin event.Origin
		effect event.Effect
		class  event.Class
		known  bool
	}{
		{"bridge.webhooks_quiet", event.OriginBridge, event.Open, event.BridgeClass, true},
		{"bridge.webhooks_resumed", event.OriginBridge, event.Settle, event.BridgeClass, true},
		{"bridge.signatures_failing", event.OriginBridge, event.Open, event.BridgeClass, true},
		{"bridge.signatures_verified", event.OriginBridge, event.Settle, event.BridgeClass, true},
		{"bridge.delivery_dead", event.OriginBridge, event.Open, event.BridgeClass, true},
		{"bridge.delivery_restored", event.OriginBridge, event.Settle, event.BridgeClass, true},
		{"bridge.queue_drained", event.OriginBridge, event.Settle, event.BridgeClass, true},
		{"bridge.store_degraded", event.OriginBridge, event.Open, event.BridgeClass, true},
		{"bridge.store_restored", event.OriginBridge, event.Settle, event.BridgeClass, true},
		{"bridge.mapping_broken", event.OriginBridge, event.Open, event.BridgeClass, true},
		{"bridge.mapping_mended", event.OriginBridge, event.Settle, event.BridgeClass, true},
		{"bridge.config_rejected", event.OriginBridge, event.Open, event.BridgeClass, true},
		{"bridge.config_accepted", event.OriginBridge, event.Settle, event.BridgeClass, true},
		{"bridge.queue_old", event.OriginBridge, event.Note, event.BridgeClass, true},
		{"bridge.unheard_of", event.OriginBridge, event.Note, event.BridgeClass, false},
		{"bridge.webhooks_quiet", event.OriginWebhook, event.Note, event.Storage, false},
		{"bridge.webhooks_resumed", event.OriginReplay, event.Note, event.Storage, false},
		{"bridge.webhooks_quiet", event.OriginReconcile, event.Note, event.Storage, false},
		{"silence", event.OriginWebhook, event.Note, event.Storage, false},
	} {
		s := stored(fmt.Sprintf(`{"type":%q,"data":{"bridge":{"subject":"webhooks of datasync"},"error":{"category":"storage"}}}`, tt.sent))
		s.Origin = tt.origin
		ev, err := m.Event(s)
		if err != nil {
			t.Fatal(err)
		}
		if ev.Effect != tt.effect || ev.Class != tt.class || ev.Known != tt.known {
			t.Errorf("%s by %s: effect %q, class %q, known %t; want %q, %q, %t", tt.sent, tt.origin, ev.Effect, ev.Class, ev.Known, tt.effect, tt.class, tt.known)
		}
		if got := ev.Text(event.BridgeSubject); got != "webhooks of datasync" {
			t.Errorf("%s: subject %q", tt.sent, got)
		}
	}
}

func TestPolling8_AThresholdReadsAlikeHoweverItIsWritten(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	for _, body := range []string{
		`{"threshold_days":14,"not_after":"2026-03-24T00:00:00Z"}`,
		`{"threshold_days":"14","not_after":"2026-03-23T18:00:00-06:00"}`,
		`{"threshold_days":14.0,"not_after":1774310400}`,
	} {
		ev := normalize(t, m, `{"type":"partner.certificate_expiring","data":{"certificate":`+body+`}}`)
		days, _ := ev.Number(event.ThresholdDays)
		if at := ev.Time(event.CertificateExpiry); days != 14 || at != time.Date(2026, 3, 24, 0, 0, 0, 0, time.UTC) {
			t.Errorf("%s: %v days, %v", body, days, at)
		}
	}
}

func TestCategoryOutsideTheListIsUnknown(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	for _, category := range []string{`"cosmic_rays"`, `"mdn_timeout"`, `"bridge"`, `null`, `7`, `"Storage"`} {
		if ev := normalize(t, m, `{"type":"transaction.failed","data":{"error":{"category":`+category+`}}}`); ev.Class != event.UnknownClass {
			t.Errorf("%s: class %q, want unknown", category, ev.Class)
		}
	}
}

func TestFailureThatWillBeTriedAgainIsARetry(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	for body, want := range map[string]string{
		`{"attempt":{"final":false}}`:   "transaction.retrying",
		`{"attempt":{"final":true}}`:    "transaction.failed",
		`{"attempt":{"final":null}}`:    "transaction.failed",
		`{}`:                            "transaction.failed",
		`{"attempt":{"final":"false"}}`: "transaction.retrying",
	} {
		ev := normalize(t, m, `{"type":"transaction.failed","data":`+body+`}`)
		if ev.Type != want || (ev.Effect == event.None) != (want == "transaction.retrying") || ev.SentType != "transaction.failed" {
			t.Errorf("%s: %q with effect %q, want %q", body, ev.Type, ev.Effect, want)
		}
	}
}

func TestDispositionDecidesOverTheMDNsName(t *testing.T) {
	const mode = "automatic-action/MDN-sent-automatically; "
	m := mustNew(t, mapping.Config{})
	for _, tt := range []struct {
		sent, mdn, want, category string
	}{
		{"mdn.received", `{"disposition":"` + mode + `processed","mic_verified":true}`, "mdn.received", ""},
		{"mdn.received", `{"disposition":"` + mode + `processed/warning: duplicate-document"}`, "mdn.received", ""},
		{"mdn.received", `{"disposition":"` + mode + `processed/error: decryption-failed"}`, "mdn.failed", "certificate"},
		{"mdn.received", `{"disposition":"` + mode + `PROCESSED/Error:\r\n\tAuthentication-Failed"}`, "mdn.failed", "certificate"},
		{"mdn.received", `{"disposition":"processed/error: integrity-check-failed"}`, "mdn.failed", "integrity"},
		{"mdn.received", `{"disposition":"processed/error: decompression-failed"}`, "mdn.failed", "configuration"},
		{"mdn.received", `{"disposition":"processed/error: insufficient-message-security"}`, "mdn.failed", "configuration"},
		{"mdn.received", `{"disposition":"processed/error: unexpected-processing-error"}`, "mdn.failed", "partner"},
		{"mdn.received", `{"disposition":"` + mode + `failed/Failure: unsupported format"}`, "mdn.failed", "configuration"},
		{"mdn.received", `{"disposition":"` + mode + `failed/Failure: unsupported MIC-algorithms"}`, "mdn.failed", "configuration"},
		{"mdn.received", `{"disposition":"` + mode + `processed/error: something-new"}`, "mdn.failed", ""},
		{"mdn.received", `{"disposition":"` + mode + `processed/something-new"}`, "mdn.received", ""},
		{"mdn.received", `{"disposition":"processed/warning: authentication-failed, processing continued"}`, "mdn.received", ""},
		{"mdn.received", `{}`, "mdn.received", ""},
		{"mdn.received", `{"disposition":"processed","mic_verified":false}`, "mdn.failed", "integrity"},
		{"mdn.received", `{"mic_verified":null}`, "mdn.received", ""},
		{"mdn.failed", `{"disposition":"` + mode + `processed/warning: duplicate-document"}`, "mdn.received", ""},
		{"mdn.failed", `{"disposition":"processed/warning: duplicate-document","mic_verified":false}`, "mdn.failed", "integrity"},
		{"mdn.negative", `{"disposition":"processed/warning: x"}`, "mdn.received", ""},
		{"mdn.failed", `{"disposition":"processed"}`, "mdn.failed", ""},
		{"mdn.failed", `{}`, "mdn.failed", ""},
	} {
		ev := normalize(t, m, `{"type":"`+tt.sent+`","data":{"mdn":`+tt.mdn+`}}`)
		failed := tt.want == "mdn.failed"
		if ev.Type != tt.want || (ev.Effect == event.Open) != failed || (ev.Class == event.MDNNegative) != failed {
			t.Errorf("%s %s: %q, %q, %q; want %q", tt.sent, tt.mdn, ev.Type, ev.Effect, ev.Class, tt.want)
		}
		if got := ev.Text(event.ErrorCategory); got != tt.category {
			t.Errorf("%s %s: category %q, want %q", tt.sent, tt.mdn, got, tt.category)
		}
	}
	ev := normalize(t, m, `{"type":"mdn.failed","data":{"error":{"category":"platform"},"mdn":{"disposition":"processed/error: decryption-failed"}}}`)
	if got := ev.Text(event.ErrorCategory); got != "platform" {
		t.Errorf("the sender's own category became %q", got)
	}
}

func TestAnAcknowledgmentThatSaysNoIsARejection(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	for ack, want := range map[string]string{
		`{"kind":"997","status":"accepted"}`:               "acknowledgment.received",
		`{"kind":"997","codes":{"AK5":"E","AK9":"P"}}`:     "acknowledgment.received",
		`{"kind":"CONTRL","codes":["8"]}`:                  "acknowledgment.received",
		`{}`:                                               "acknowledgment.received",
		`{"kind":"997","status":"Rejected"}`:               "transaction.rejected",
		`{"kind":"997","status":"R"}`:                      "transaction.rejected",
		`{"kind":"TA1","codes":{"TA104":"R","TA105":"0"}}`: "transaction.rejected",
	} {
		ev := normalize(t, m, `{"type":"acknowledgment.received","data":{"acknowledgment":`+ack+`}}`)
		if ev.Type != want || (ev.Effect == event.Open) != (want == "transaction.rejected") {
			t.Errorf("%s: %q with effect %q, want %q", ack, ev.Type, ev.Effect, want)
		}
	}
}

func TestRouting15_OccurredAtIsTheEnvelopesUnlessMissingOrAhead(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	at := time.Date(2026, 3, 10, 14, 46, 9, 0, time.UTC)
	for _, tt := range []struct {
		envelope string
		want     time.Time
	}{
		{`"created_at":"2026-03-10T14:46:09Z"`, at},
		{`"created_at":"2026-03-10T08:46:09.000-06:00"`, at},
		{`"timestamp":"2026-03-10T14:46:09+00:00"`, at},
		{`"created_at":1773153969`, at},
		{`"created_at":1773153969.0`, at},
		{`"created_at":"1773153969"`, at},
		{`"timestamp":1773153969000`, at},
		{`"timestamp":1773153969000000`, at},
		{`"timestamp":1773153969000000000`, at},
		{`"created_at":null,"time":"2026-03-10T14:46:09Z"`, at},
		{`"created_at":"yesterday","time":"2026-03-10T14:46:09Z"`, at},
		{`"created_at":"2026-03-10 14:46:09"`, received},
		{`"created_at":"2026-03-10T14:46:09"`, received},
		{`"created_at":0`, received},
		{`"created_at":-5`, received},
		{`"created_at":1e300`, received},
		{`"created_at":true`, received},
		{`"x":1`, received},
		{`"created_at":"2026-03-15T00:05:00Z"`, received.Add(5 * time.Minute)},
		{`"created_at":"2026-03-15T00:05:01Z"`, received},
		{`"created_at":"2099-01-01T00:00:00Z"`, received},
		{`"created_at":"2099-01-01T00:00:00Z","time":"2026-03-10T14:46:09Z"`, received},
	} {
		ev := normalize(t, m, `{"type":"transaction.delivered",`+tt.envelope+`}`)
		if !ev.OccurredAt.Equal(tt.want) || ev.OccurredAt.Location() != time.UTC {
			t.Errorf("%s: %v, want %v", tt.envelope, ev.OccurredAt, tt.want)
		}
	}
}

func TestSandboxIfEitherSideSaysSo(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	for envelope, want := range map[string]event.Environment{
		`"environment":"sandbox"`:                        event.Sandbox,
		`"environment":"SANDBOX"`:                        event.Sandbox,
		`"data":{"environment":"sandbox"}`:               event.Sandbox,
		`"livemode":false`:                               event.Sandbox,
		`"environment":"production","livemode":false`:    event.Sandbox,
		`"environment":"production"`:                     event.Production,
		`"livemode":true`:                                event.Production,
		`"environment":"blue"`:                           event.Production,
		`"environment":null`:                             event.Production,
		`"environment":"","data":{"environment":"test"}`: event.Sandbox,
	} {
		body := `{"type":"mdn.timeout",` + envelope + `}`
		if ev := normalize(t, m, body); ev.Environment != want {
			t.Errorf("%s: %q, want %q", envelope, ev.Environment, want)
		}
		p, err := m.Probe([]byte(body))
		if err != nil || p.Sandbox != (want == event.Sandbox) {
			t.Errorf("%s: probe says sandbox %v (%v)", envelope, p.Sandbox, err)
		}
		s := stored(body)
		s.Environment = event.Sandbox
		if ev, err := m.Event(s); err != nil || ev.Environment != event.Sandbox {
			t.Errorf("%s: a sandbox source gave %q (%v)", envelope, ev.Environment, err)
		}
	}
}

func TestFieldsAreFoundInThinAndFlatShapes(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	for _, tt := range []struct {
		body, path string
		want       any
	}{
		{`{"data":{"transaction_id":"t1"}}`, event.TransactionID, "t1"},
		{`{"transaction":{"id":9007199254740993}}`, event.TransactionID, "9007199254740993"},
		{`{"resource":{"type":"transaction","id":"t2"}}`, event.TransactionID, "t2"},
		{`{"relatedResources":[{"type":"partner","id":"p"},{"type":"transaction","id":"t3"}]}`, event.TransactionID, "t3"},
		{`{"data":{"transaction":{"amount":{"value":"48210.55","currency":"USD"}}}}`, event.Amount, 48210.55},
		{`{"data":{"transaction":{"amount":12.5}}}`, event.Amount, 12.5},
		{`{"data":{"transaction":{"amount":"a lot"}}}`, event.Amount, nil},
		{`{"data":{"transaction":{"amount":1e999}}}`, event.Amount, nil},
		{`{"data":{"transaction":{"amount":"0x10"}}}`, event.Amount, nil},
		{`{"data":{"error":"it broke"}}`, event.ErrorMessage, "it broke"},
		{`{"data":{"partner":{"id":null}},"partner_id":"p2"}`, event.PartnerID, "p2"},
		{`{"data":{"partner":{"name":"Bad\ud800Name"}}}`, event.PartnerName, "Bad\uFFFDName"},
		{`{"data":{"queued_transactions":17}}`, event.QueuedBehind, 17.0},
		{`{"recovered":true}`, "recovered", true},
		{`{"data":{"transaction":{"references":{"container":"C1","po_number":7}}}}`, "transaction.references.container", "C1"},
		{`{"data":{"transaction":{"references":{"container":"C1","po_number":7}}}}`, event.PONumber, "7"},
		{`{"data":{"acknowledgment":{"codes":["A","R"]}}}`, "acknowledgment.codes", []string{"A", "R"}},
		{`{"data":{"sla":{"due_at":1773153969000}}}`, event.SLADue, time.Date(2026, 3, 10, 14, 46, 9, 0, time.UTC)},
	} {
		ev := normalize(t, m, `{"type":"x",`+tt.body[1:])
		if got := ev.Fields[tt.path]; fmt.Sprint(got) != fmt.Sprint(tt.want) || fmt.Sprintf("%T", got) != fmt.Sprintf("%T", tt.want) {
			t.Errorf("%s: %s = %T %v, want %T %v", tt.body, tt.path, got, got, tt.want, tt.want)
		}
	}
}

func TestListsFromOutsideAreBounded(t *testing.T) {
	many := strings.Repeat(`"e",`, 1000)
	var refs strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&refs, `"r%04d":"v",`, i)
	}
	ev := normalize(t, mustNew(t, mapping.Config{}), `{"type":"x","data":{"acknowledgment":{"errors":[`+many+`"e"]},"transaction":{"references":{`+refs.String()+`"z":"v"}}}}`)
	if n := len(ev.Fields["acknowledgment.errors"].([]string)); n != 20 {
		t.Errorf("%d errors, want 20", n)
	}
	if n := len(ev.Fields); n != 21 {
		t.Errorf("%d fields, want the errors and 20 references", n)
	}
}

func TestEveryFieldHoldsItsKind(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	for _, s := range samples(t) {
		for path, v := range normalize(t, m, string(s.Body)).Fields {
			f, ok := event.FieldAt(path)
			if !ok || f.Own {
				t.Errorf("%s: %s is no field of a payload", s.Case, path)
			}
			want := map[event.Kind]string{event.KindText: "string", event.KindNumber: "float64", event.KindFlag: "bool", event.KindTime: "time.Time", event.KindTexts: "[]string"}[f.Kind]
			if got := fmt.Sprintf("%T", v); got != want {
				t.Errorf("%s: %s is a %s, want %s", s.Case, path, got, want)
			}
		}
	}
}

func TestDataIsThePayloadWithExactNumbers(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	ev := normalize(t, m, `{"type":"x","data":{"n":9007199254740993,"n":1,"a":[{"b":null}]}}`)
	if ev.Data["n"] != json.Number("9007199254740993") {
		t.Errorf("n = %v, want the first, exact", ev.Data["n"])
	}
	ev = normalize(t, m, `{"type":"x","data":"text","k":1}`)
	if ev.Data["k"] != json.Number("1") || ev.Data["type"] != "x" {
		t.Errorf("without a data object: %v, want the whole body", ev.Data)
	}
}

func TestDamagedBytesAreAnError(t *testing.T) {
	s := stored(`{"type":"x"}`)
	s.BodyHash = [32]byte{1}
	if _, err := mustNew(t, mapping.Config{}).Event(s); err == nil {
		t.Error("a body that is not its hash's was normalized")
	}
}

func TestConflictIsCarriedOver(t *testing.T) {
	s := stored(`{"type":"x"}`)
	s.Status = event.Conflict
	if ev, err := mustNew(t, mapping.Config{}).Event(s); err != nil || !ev.Conflict {
		t.Errorf("conflict %v, %v", ev.Conflict, err)
	}
}
