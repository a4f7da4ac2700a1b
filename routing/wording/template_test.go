package wording

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

func form() Form {
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		panic(err)
	}
	return Form{Functions: Functions(zone), Max: 4 << 10}
}

// invoice is the event of the examples in docs/templates.md.
func invoice() event.Event {
	return event.Event{
		ID: "ev_1", Type: "transaction.failed", Source: "datasync", Environment: event.Production, Class: event.MappingFault,
		OccurredAt: time.Date(2026, 11, 30, 9, 46, 0, 0, time.UTC), ReceivedAt: time.Date(2026, 11, 30, 9, 46, 1, 0, time.UTC),
		Fields: map[string]any{
			event.TransactionID: "txn_01JP4H2M6C", event.DocumentType: "810", event.DocumentName: "freight_invoice",
			event.Amount: 48210.55, event.Currency: "USD", event.PartnerName: "Juniper Vale Stores",
			event.InvoiceNumber: "INV-204417", event.SLADue: time.Date(2026, 11, 30, 14, 0, 0, 0, time.UTC),
			"acknowledgment.errors": []string{"IK403: bad date", "IK404: too long"},
		},
		Data: map[string]any{"buyer": map[string]any{"team": "north"}, "lines": []any{json.Number("3"), "x", nil}},
	}
}

func TestRouting30TemplatesSayWhatTheEventHolds(t *testing.T) {
	for source, want := range map[string]string{
		"{{ .partner.name }}: {{ .transaction.document_type }}":                       "Juniper Vale Stores: 810",
		`{{ money .transaction.amount .transaction.currency }}`:                       "48,210.55 USD",
		"{{ .certificate.id }}|{{ .data.nothing.here }}|":                             "||",
		`{{ default "no buyer" .data.buyer.team | upper }}`:                           "NORTH",
		`{{ default "none" .certificate.id }}`:                                        "none",
		`{{ time .sla.due_at }} on {{ date .sla.due_at }}`:                            "08:00 CST on Mon 30 Nov 2026",
		`{{ span .received_at .sla.due_at }}`:                                         "4 h 13 min",
		`{{ join "; " .acknowledgment.errors }}`:                                      "IK403: bad date; IK404: too long",
		`{{ join "+" .data.lines }}`:                                                  "3+x",
		`{{ if eq .transaction.document_type "810" }}invoice{{ else }}other{{ end }}`: "invoice",
		`{{ cut 8 .partner.name }}`:                                                   "Juniper…",
		`{{ replace "_" " " .transaction.document_name }}`:                            "freight invoice",
		`{{ .transaction.references.invoice_number }}`:                                "INV-204417",
		`{{ .severity }}{{ .class }} {{ .environment }}`:                              "mapping production",
		`{{ .transaction.amount }} {{ .acknowledgment.errors }}`:                      "48210.55 [IK403: bad date IK404: too long]",
	} {
		made, err := Parse(source, form())
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got, err := made.Render(Fields(invoice())); err != nil || got != want {
			t.Errorf("%s: %q (%v), want %q", source, got, err, want)
		}
	}
}

func TestRouting30ATemplateThatFailsIsAFaultAtItsPlace(t *testing.T) {
	form := form()
	form.Suggest = func(got string, _ []string) string { return "; did you mean something near " + got + "?" }
	for source, want := range map[string]string{
		"{{ .partner.nmae }}":                      "1:12 there is no field .partner.nmae; did you mean",
		"a\nb {{ .partner }}":                      "2:6 .partner is an object",
		"{{ range .data.x }}{{ end }}":             "{{range .data.x}}",
		"{{ range 1000000000 }}x{{ end }}":         "is not allowed here",
		"{{ printf \"%1000000d\" 1 }}":             "printf is not allowed here; use one of and, cut, date, default",
		"{{ $x := .type }}{{ $x }}":                "variables are not allowed",
		"{{ template \"x\" }}":                     "is not allowed here",
		"{{ define \"x\" }}{{ end }}":              "define and block are not allowed",
		"{{ . }}":                                  "is not allowed here",
		"x\n{{ now }}":                             "2:1 now is not allowed here",
		"{{ .type":                                 "1:1 unclosed action",
		"{{ index .acknowledgment.errors 99999 }}": "index",
		"{{ len .sla.nothing }}":                   "there is no field",
		strings.Repeat("x", maxSource+1):           "longer than",
		"{{ with .type }}x{{ end }}":               "is not allowed here",
		"{{ call .type }}":                         "call is not allowed here",
		"{{ (lower .type).x }}":                    "is not allowed here",
	} {
		_, err := Parse(source, form)
		fault, ok := err.(*Fault) //nolint:errorlint // Parse promises the type itself
		if !ok {
			t.Errorf("%.40s: %v", source, err)
			continue
		}
		if got := fmt.Sprintf("%d:%d %s", fault.Line, fault.Col, fault.Text); !strings.Contains(got, want) {
			t.Errorf("%.40s: %q does not say %q", source, got, want)
		}
	}
}

func TestRouting30WhatIsTooLongIsCutAndWhatFailsIsSaid(t *testing.T) {
	short := form()
	short.Max = 10
	made, err := Parse("{{ .partner.name }}", short)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := made.Render(Fields(invoice())); err != nil || got != "Juniper Va" {
		t.Errorf("%q, %v", got, err)
	}
	grows, err := Parse(`{{ replace "x" "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" (replace "x" "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" .data.x) }}`, form())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := grows.Render(map[string]any{"data": map[string]any{"x": strings.Repeat("x", 1<<20)}}); err != nil || len(got) > 4<<10 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	deep, err := Parse(`{{ .data.a.b }}`, form())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deep.Render(map[string]any{"data": map[string]any{"a": "a text"}}); err == nil {
		t.Error("a path into a text does not fail")
	}
	strict, err := Parse(`{{ .partner.id }}`, Form{Functions: Plain(), Max: 100, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strict.Render(map[string]any{}); err == nil {
		t.Error("a strict template takes a missing field")
	}
}

// TestTheExamplesOfTheGuideSayWhatItSays renders each row of the tables.
func TestTheExamplesOfTheGuideSayWhatItSays(t *testing.T) {
	page, err := os.ReadFile("../../docs/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(.*\\{\\{.*)` \\| `(.*)` \\|").FindAllStringSubmatch(string(page), -1)
	if len(rows) < 8 {
		t.Fatalf("%d examples were found", len(rows))
	}
	for _, row := range rows {
		made, err := Parse(row[1], form())
		if err != nil {
			t.Errorf("%s: %v", row[1], err)
			continue
		}
		if got, err := made.Render(Fields(invoice())); err != nil || got != row[2] {
			t.Errorf("%s: %q (%v), the page says %q", row[1], got, err, row[2])
		}
	}
	for name := range form().Functions {
		if !strings.Contains(string(page), "{{ "+name+" ") {
			t.Errorf("the page does not tell of %s", name)
		}
	}
}

// FuzzTemplate: whatever a template and a payload hold, it ends, within its
// bound, and does not panic.
func FuzzTemplate(f *testing.F) {
	for _, source := range []string{
		"", "{{ .type }}", `{{ money .transaction.amount .transaction.currency }}`, `{{ join "," .data.x }}`, `{{ cut -5 .data.x }}`,
		`{{ replace "" "x" .data.x }}`, `{{ index .data.x 0 }}`, `{{ if not .data.x }}a{{ else if eq .data.x 1 }}b{{ end }}`,
		`{{ span .data.x .received_at | upper | trim | lower }}`, "{{/* a */}}", "{{ .data.x.y.z }}", "{{ len .data.x }}", `{{ default 1 .x }}`, "{{{{",
	} {
		f.Add(source, `{"x": [1, {"y": "ü"}, null]}`)
		f.Add(source, `{"x": "`+strings.Repeat("a", 300)+`"}`)
	}
	f.Fuzz(func(t *testing.T, source, payload string) {
		made, err := Parse(source, form())
		if err != nil {
			if fault, ok := err.(*Fault); !ok || fault.Line < 1 || fault.Col < 1 || fault.Text == "" { //nolint:errorlint // promised
				t.Fatalf("%#v", err)
			}
			return
		}
		ev := invoice()
		dec := json.NewDecoder(strings.NewReader(payload))
		dec.UseNumber()
		ev.Data = nil
		_ = dec.Decode(&ev.Data)
		if got, _ := made.Render(Fields(ev)); len(got) > form().Max {
			t.Fatalf("%d bytes", len(got))
		}
	})
}
