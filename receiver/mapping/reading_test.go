package mapping_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"datasync-bridge/event"
	"datasync-bridge/receiver/mapping"

	"pgregory.net/rapid"
)

func TestQuarantineSaysWhyInWordsOfItsOwn(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	deep := func(n int) string { return `{"type":"x","d":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	for _, tt := range []struct{ name, body, want string }{
		{"nothing", "", "the body is not JSON"},
		{"text", "canary", "the body is not JSON"},
		{"two values", `{"type":"x"}{"type":"y"}`, "the body is not JSON"},
		{"a trailing comma", `{"type":"x",}`, "the body is not JSON"},
		{"a raw newline in a text", "{\"type\":\"a\nb\"}", "the body is not JSON"},
		{"a byte order mark", "\ufeff{\"type\":\"x\"}", "the body is not JSON"},
		{"a number", "7", "the body is JSON, but not an object"},
		{"a list", `[{"type":"x"}]`, "the body is JSON, but not an object"},
		{"63 levels inside", deep(63), ""},
		{"64 levels inside", deep(64), "the body is nested deeper than 64 levels"},
		{"a million brackets", strings.Repeat("[", 1<<20), "the body is nested deeper than 64 levels"},
		{"brackets in a text do not count", `{"type":"x","d":"` + strings.Repeat("[", 100) + `\"["}`, ""},
		{"no type", `{"id":"canary"}`, "no event type can be found"},
		{"a type of null", `{"type":null}`, "no event type can be found"},
		{"a number for a type", `{"type":5}`, "no event type can be found"},
		{"an endless type", `{"type":"` + strings.Repeat("canary", 100) + `"}`, "the event type is longer than 200 bytes"},
		{"the second place for a type", `{"type":{},"event_type":"x"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := m.Probe([]byte(tt.body))
			if err != nil || p.Quarantine != tt.want || (p.Type == "") != (tt.want != "") {
				t.Errorf("probe: type %.20q, cause %q, %v; want %q", p.Type, p.Quarantine, err, tt.want)
			}
			ev := normalize(t, m, tt.body)
			if ev.Quarantine != tt.want {
				t.Errorf("event: cause %q, want %q", ev.Quarantine, tt.want)
			}
			if tt.want != "" && (ev.Type != "" || ev.Class != event.QuarantineClass || ev.Effect != event.Note || ev.Data != nil || ev.Known) {
				t.Errorf("quarantined event has %+v", ev)
			}
		})
	}
}

// anyJSON draws JSON text with what senders get wrong: equal keys, escapes,
// lone surrogates, invalid UTF-8, numbers beyond float64.
func anyJSON(rt *rapid.T, depth int) string {
	keys := []string{"type", "id", "data", "event_type", "ty\\u0070e", "i\xff", "event", "environment", "livemode", "\\ud800"}
	scalars := []string{
		`"x"`, `""`, `null`, `true`, `false`, `12`, `9007199254740993`, `1e999`, `-0.0`,
		`"\ud800"`, "\"\xff\xfe\"", `"\u0000"`, `"sandbox"`, `"\ud83d\ude00"`, `"transaction.failed"`,
	}
	if depth > 3 || rapid.IntRange(0, 3).Draw(rt, "shape") == 0 {
		return rapid.SampledFrom(scalars).Draw(rt, "scalar")
	}
	var parts []string
	for range rapid.IntRange(0, 5).Draw(rt, "length") {
		part := anyJSON(rt, depth+1)
		if depth%2 == 0 {
			part = `"` + rapid.SampledFrom(keys).Draw(rt, "key") + `" : ` + part
		}
		parts = append(parts, part)
	}
	if depth%2 == 0 {
		return "{" + strings.Join(parts, " ,\n") + "}"
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// asked are fields with a path at which a probe can be asked for them too: at
// the root, deeper, in a list, by a condition, and where acceptance looks for ids.
var asked = map[string]string{
	event.TransactionID: "id",
	event.PartnerID:     "data.0.id",
	event.PartnerName:   "data.transaction.id",
	event.RunID:         "data.data.data",
	event.CertificateID: "data[type=x].id",
	event.DocumentType:  "event.event_type",
	event.ErrorMessage:  "environment",
	event.PONumber:      "livemode",
}

func twoReadings(t testing.TB) *mapping.Mapping {
	paths := map[string][]string{}
	for field, place := range asked {
		paths[field] = []string{place}
	}
	return mustNew(t, mapping.Config{Paths: paths})
}

func TestProbeAndNormalizationReadOneBodyAlike(t *testing.T) {
	m := twoReadings(t)
	rapid.Check(t, func(rt *rapid.T) { alike(rt, m, anyJSON(rt, 0)) })
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func alike(t fataler, m *mapping.Mapping, body string) {
	p, err := m.Probe([]byte(body))
	if err != nil {
		t.Fatalf("probe: %v", err)
	}
	ev, err := m.Event(stored(body))
	if err != nil {
		t.Fatalf("event: %v", err)
	}
	if p.Type != ev.SentType || p.Quarantine != ev.Quarantine || p.Sandbox != (ev.Environment == event.Sandbox) {
		t.Fatalf("%q: probe %q %q %v, event %q %q %v", body, p.Type, p.Quarantine, p.Sandbox, ev.SentType, ev.Quarantine, ev.Environment)
	}
	for field, place := range asked {
		at, err := mapping.ParsePath(place)
		if err != nil {
			t.Fatalf("%v", err)
		}
		// Where the place is empty, the event looks for the field elsewhere too.
		got := p.At(at)
		if place == "id" && got != "" && got != p.ID() {
			t.Fatalf("%q: the id is %q and %q", body, got, p.ID())
		}
		if ev.Quarantine == "" && got != "" && got != ev.Text(field) {
			t.Fatalf("%q: %s is %q to the probe, %q to the event", body, place, got, ev.Text(field))
		}
	}
	secondOpinion(t, body, ev)
	printed, err := json.Marshal(ev)
	if err != nil || !utf8.Valid(printed) {
		t.Fatalf("%q: the event cannot be written: %v", body, err)
	}
}

func TestWhatAProbeHasAnsweredOutlivesTheBody(t *testing.T) {
	m := twoReadings(t)
	for _, id := range []string{`"evt_1"`, `12345`} {
		body := []byte(`{"id":` + id + `,"type":"transaction.failed"}`)
		p, err := m.Probe(body)
		if err != nil {
			t.Fatal(err)
		}
		kind, got := p.Type, p.ID()
		for i := range body {
			body[i] = 'x' // a pooled buffer's next request
		}
		if kind != "transaction.failed" || got != strings.Trim(id, `"`) {
			t.Errorf("type %q and id %q, want transaction.failed and %s", kind, got, id)
		}
	}
}

func FuzzReadings(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(string(s.Body))
	}
	for _, c := range jsonCases(f) {
		if len(c.body) < 1000 { // long seeds only slow the search
			f.Add(c.body)
		}
	}
	f.Add(`{"type":"a","type":"b","\u0074ype":"c"}`)
	f.Add("{\"type\":\"\xff\xfe\",\"id\":\"\\ud800\"}")
	f.Add(strings.Repeat(`{"type":`, 70))
	m := twoReadings(f)
	f.Fuzz(func(t *testing.T, body string) { alike(t, m, body) })
}

func TestOverrides(t *testing.T) {
	m := mustNew(t, mapping.Config{
		Paths: map[string][]string{
			"type": {"meta.kind"}, "id": {"meta.key"}, "created_at": {"meta.at"},
			event.TransactionID:                  {"doc.numbers.0", `doc.dotted\.key`},
			"transaction.references.load_number": {"load"},
		},
		Aliases: map[string]string{"doc.late": "sla.missed", "sla.warning": "sla.violated"},
		Effects: map[string]event.Effect{"transaction.recovered": event.Note, "partner.renamed": event.None, "transaction.retrying": event.Open},
	})
	body := `{"meta":{"kind":"doc.late","key":5,"at":1773153969},"type":"x","doc":{"numbers":["n1"],"dotted.key":"n2"},"load":"L1"}`
	ev := normalize(t, m, body)
	if ev.Type != "sla.violated" || ev.Text(event.TransactionID) != "n1" || ev.Text("transaction.references.load_number") != "L1" || ev.OccurredAt.Unix() != 1773153969 {
		t.Errorf("%+v", ev)
	}
	if p, err := m.Probe([]byte(body)); err != nil || p.ID() != "5" || p.Type != "doc.late" {
		t.Errorf("probe: id %q, type %q, %v", p.ID(), p.Type, err)
	}
	if ev := normalize(t, m, `{"type":"x","doc":{"numbers":[],"dotted.key":"n2"}}`); ev.Text(event.TransactionID) != "n2" {
		t.Errorf("the second path gave %q", ev.Text(event.TransactionID))
	}
	for sent, want := range map[string]event.Effect{
		"transaction.delivered": event.Note, "transaction.completed": event.Note,
		"partner.renamed": event.None, "sla.warning": event.Open, "transaction.retrying": event.Open,
	} {
		if ev := normalize(t, m, `{"type":"`+sent+`"}`); ev.Effect != want || !ev.Known {
			t.Errorf("%s: effect %q (known %v), want %q", sent, ev.Effect, ev.Known, want)
		}
	}
	if slices.Contains(m.Types(), "sla.warning") || !slices.Contains(m.Types(), "partner.renamed") {
		t.Errorf("types %q", m.Types())
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  mapping.Config
		want []string
	}{
		{"the default is fine", mapping.Config{}, nil},
		{"an unknown profile", mapping.Config{Profile: "datasnyc"}, []string{`profile: no profile "datasnyc"; use datasync`}},
		{"everything wrong at once", mapping.Config{
			Paths: map[string][]string{
				"transaction.idd": {"a"}, "class": {"a"}, "partner.id": {}, "partner.name": {"a..b", "", "a[b]", "[x=y]", "ok[type=x].id"},
			},
			Aliases: map[string]string{"a": "b", "b": "a", "c": "sla.misssed"},
			Effects: map[string]event.Effect{"sla.violated": "shout"},
		}, []string{
			`paths.transaction.idd: no field "transaction.idd"; did you mean "transaction.id"?`, "paths.class: no field", "paths.partner.id: needs at least one",
			"paths.partner.name[0]:", "paths.partner.name[1]:", "paths.partner.name[2]:", "paths.partner.name[3]:",
			"aliases.a: leads back to itself", "aliases.b: leads back", `aliases.c: no event type "sla.misssed"`, `effects.sla.violated: no effect "shout"`,
		}},
		{"an alias of a type that only has an effect", mapping.Config{
			Aliases: map[string]string{"old.name": "new.name"}, Effects: map[string]event.Effect{"new.name": event.Note},
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			tt.cfg.WithDefaults().Validate(func(path, problem string) { got = append(got, path+": "+problem) })
			for _, want := range tt.want {
				if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, want) }) {
					t.Errorf("no %q in %q", want, got)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("%d faults %q, want %d", len(got), got, len(tt.want))
			}
			if _, err := mapping.New(tt.cfg); (err == nil) != (len(tt.want) == 0) {
				t.Errorf("New: %v", err)
			}
		})
	}
}

func BenchmarkProbe(b *testing.B) {
	m := mustNew(b, mapping.Config{})
	body := samples(b)[1].Body
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if p, err := m.Probe(body); err != nil || p.ID() == "" {
			b.Fatal(p.Quarantine, err)
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	m := mustNew(b, mapping.Config{})
	s := stored(string(samples(b)[1].Body))
	b.SetBytes(int64(len(s.Body)))
	b.ReportAllocs()
	for b.Loop() {
		if ev, err := m.Event(s); err != nil || !ev.Known {
			b.Fatal(err)
		}
	}
}
