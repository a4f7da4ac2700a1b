package routing

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datasync-bridge/event"
)

func TestRouting12_TheKeyIsTheEnvironmentAndTheSortedPairs(t *testing.T) {
	for _, tt := range []struct {
		name string
		ev   event.Event
		by   []string // nil: the class decides
		want string
	}{
		{"a cause that is shared", failure(), nil,
			`["production",["class","connectivity"],["partner.id","par_7h2k9"]]`},
		{"a cause of one transaction", failure(typed("mdn.timeout", event.Open, event.MDNTimeout)), nil,
			`["production",["class","mdn_timeout"],["partner.id","par_7h2k9"],["transaction.id","txn_1"]]`},
		{"the sandbox has keys of its own", failure(func(ev *event.Event) { ev.Environment = event.Sandbox }), nil,
			`["sandbox",["class","connectivity"],["partner.id","par_7h2k9"]]`},
		{"a path that is missing is left out", failure(without(event.PartnerID)), []string{event.PartnerID, event.DocumentType},
			`["production",["transaction.document_type","856"]]`},
		{"all paths missing: an incident of its own", failure(without(event.PartnerID)), nil,
			`["production",["class","connectivity"],["id","ev_1"]]`},
		{"own fields do not count", failure(without(event.PartnerID)), []string{"source", "type", "environment", event.PartnerID},
			`["production",["environment","production"],["source","datasync"],["type","transaction.failed"],["id","ev_1"]]`},
		{"own fields alone are what was asked for", failure(), []string{"class"}, `["production",["class","connectivity"]]`},
		{"a path twice", failure(), []string{event.PartnerID, event.PartnerID}, `["production",["partner.id","par_7h2k9"]]`},
		{"a number", failure(), []string{event.Amount}, `["production",["transaction.amount",12500]]`},
		{"the raw payload", failure(withData(t, `{"a": {"b": 3.0}, "c": ["x<y"]}`)), []string{"data.a.b", "data.c"},
			`["production",["data.a.b",3],["data.c",["x<y"]]]`},
		{"a number out of range", failure(withData(t, `{"a": 1e400}`)), []string{"data.a"}, `["production",["data.a",1e400]]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := decide(t, tt.ev, Rule{Name: "any", Match: Match{"environment": []any{"production", "sandbox"}}, Group: Group{By: tt.by}})
			if d.Key != tt.want {
				t.Errorf("key %s\nwant %s", d.Key, tt.want)
			}
		})
	}
}

func TestRouting12_TheKeyNeverNamesTheRule(t *testing.T) {
	ev := failure()
	a := decide(t, ev, Rule{Name: "first", Match: Match{"type": "transaction.failed"}, Notify: []string{"pager"}})
	b := decide(t, ev, Rule{Name: "renamed", Match: Match{event.DocumentType: "856"}, Notify: []string{"slack"}})
	if a.Key != b.Key {
		t.Errorf("%s\n%s", a.Key, b.Key)
	}
}

func TestRouting12_NoValueImitatesAnotherPair(t *testing.T) {
	a, b := failure(), failure()
	a.Fields[event.PartnerID] = `p"],["transaction.id","txn_1`
	delete(a.Fields, event.TransactionID)
	b.Fields[event.PartnerID] = "p"
	by := []string{event.PartnerID, event.TransactionID}
	if x, y := IncidentKey(&a, by), IncidentKey(&b, by); x == y {
		t.Errorf("both are %s", x)
	}
}

func TestRouting40_EachOfTheBridgesTroublesHasAKeyOfItsOwn(t *testing.T) {
	own := func(kind, subject string) string {
		ev := failure(typed(kind, event.Open, event.BridgeClass), with(event.BridgeSubject, subject),
			without(event.PartnerID, event.TransactionID))
		return IncidentKey(&ev, DefaultGroupBy(ev.Class))
	}
	if got, want := own("bridge.webhooks_quiet", "A"), `["production",["bridge.subject","A"],["class","bridge"],["type","bridge.webhooks_quiet"]]`; got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	if own("bridge.webhooks_quiet", "A") == own("bridge.signatures_failing", "A") {
		t.Error("two troubles of one source share a key")
	}
}

func TestRouting12_ALongValueStandsInTheKeyAsItsHash(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	a, b := failure(with(event.PartnerID, long+"a")), failure(with(event.PartnerID, long+"b"))
	by := []string{event.PartnerID}
	x, y := IncidentKey(&a, by), IncidentKey(&b, by)
	if len(x) > 200 || x == y {
		t.Errorf("%d bytes, equal: %t", len(x), x == y)
	}
}

func TestRouting12_TheKeyIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ev := failure(with(event.PartnerID, rapid.String().Draw(t, "partner")))
		ev.Environment = event.Environment(rapid.String().Draw(t, "environment"))
		var got []any
		key := IncidentKey(&ev, []string{event.PartnerID})
		if err := json.Unmarshal([]byte(key), &got); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		pair, ok := got[1].([]any)
		if !ok || got[0] != string(ev.Environment) || len(pair) != 2 || pair[0] != event.PartnerID ||
			pair[1] != ev.Fields[event.PartnerID] && !strings.HasPrefix(pair[1].(string), "sha256:") {
			t.Fatalf("%s for %q, %q", key, ev.Environment, ev.Fields[event.PartnerID])
		}
	})
}
