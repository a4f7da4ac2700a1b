package routing

import (
	"encoding/json"
	"strings"
	"testing"

	"datasync-bridge/event"
)

// FuzzMatch compiles any match and evaluates it on any payload: nothing may
// panic, and the index must agree with asking the rule.
func FuzzMatch(f *testing.F) {
	for _, match := range []string{
		`{}`, `{"type":"transaction.failed"}`, `{"type":["sla.*","mdn.timeout"]}`, `{"data.n":3.0}`,
		`{"data.tags":{"not":["a","b*"]}}`, `{"data.digits":{"gte":1,"lt":"20"}}`, `{"data.word":{"regex":"Ü.*"}}`,
		`{"data.nothing":{"exists":false}}`, `{"transaction.document_type":856}`, `{"data.star":"5\\*"}`, `{"severity":"error"}`,
	} {
		f.Add(match, body, "par_7h2k9")
	}
	f.Fuzz(func(t *testing.T, match, payload, partner string) {
		var m Match
		dec := json.NewDecoder(strings.NewReader(match))
		dec.UseNumber()
		if dec.Decode(&m) != nil {
			return
		}
		tab, problems := Compile(config(Rule{Match: m, Notify: []string{"archive"}}), names())
		if tab == nil {
			if !hasFault(problems) {
				t.Fatal("no table and no fault")
			}
			return
		}
		ev := failure(with(event.PartnerID, partner))
		dec = json.NewDecoder(strings.NewReader(payload))
		dec.UseNumber()
		if dec.Decode(&ev.Data) != nil {
			ev.Data = nil
		}
		decideBy(t, tab, ev)
	})
}

// FuzzWhen compiles any condition and runs it: nothing may panic, and it ends.
func FuzzWhen(f *testing.F) {
	for _, when := range []string{
		`transaction.amount > 1 && type == "sla.missed"`, `any(data.tags, # == "a")`, `data?.obj?.a == 1`,
		`sla.due_at - received_at < duration("2h")`, `let x = 1..10; x[2] == 3`, `$env.type == "a"`, `not mdn.late`,
		`all(data.tags, any(data.tags, # == 1))`, `"a" in acknowledgment.codes`, `error.code matches "("`,
	} {
		f.Add(when)
	}
	f.Fuzz(func(t *testing.T, when string) {
		tab, problems := Compile(config(Rule{Match: Match{"type": "transaction.failed"}, When: when}), names())
		if tab == nil {
			if !hasFault(problems) {
				t.Fatal("no table and no fault")
			}
			return
		}
		decideBy(t, tab, failure(withData(t, body)))
	})
}
