package mapping_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datasync-bridge/event"
	"datasync-bridge/receiver/mapping"
)

func redaction(t testing.TB, paths ...string) *mapping.Redaction {
	t.Helper()
	r, err := mapping.NewRedaction(paths)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func kept(r *mapping.Redaction, body string) event.Received {
	in := stored(body).Received
	in.BodyHash = sha256.Sum256(in.Body)
	return r.Kept(in)
}

func TestARedactedPathIsBlankedWhereverItLeads(t *testing.T) {
	for name, tt := range map[string]struct{ path, body, want string }{
		"a text":                     {"data.a", `{"data":{"a":"x","b":1}}`, `{"data":{"a":null,"b":1}}`},
		"every other byte stays":     {"a", " {\t\"a\" : 1.50 ,\n \"b\":1e3 } \n", " {\t\"a\" : null ,\n \"b\":1e3 } \n"},
		"a whole object":             {"data.a", `{"data":{"a":{"b":[1]},"c":2}}`, `{"data":{"a":null,"c":2}}`},
		"a repeated key":             {"data.a", `{"data":{"a":1,"a":2},"data":{"a":3}}`, `{"data":{"a":null,"a":null},"data":{"a":null}}`},
		"a key in other spelling":    {"a", `{"\u0061":"x"}`, `{"\u0061":null}`},
		"a key with broken UTF-8":    {"a\uFFFD", "{\"a\xff\":1}", "{\"a\xff\":null}"},
		"each element of a list":     {"data.lines.price", `{"data":{"lines":[{"price":1},{"price":2},[{"price":3}]]}}`, `{"data":{"lines":[{"price":null},{"price":null},[{"price":null}]]}}`},
		"one element of a list":      {"data.lines.1.price", `{"data":{"lines":[{"price":1},{"price":2}]}}`, `{"data":{"lines":[{"price":1},{"price":null}]}}`},
		"an element itself":          {"list.0", `{"list":["x","y"]}`, `{"list":[null,"y"]}`},
		"every object of a kind":     {"r[type=p].id", `{"r":[{"type":"p","id":1},{"type":"q","id":2},{"id":3,"type":"p"}]}`, `{"r":[{"type":"p","id":null},{"type":"q","id":2},{"id":null,"type":"p"}]}`},
		"a kind that is said twice":  {"r[type=p].id", `{"r":{"type":"q","type":"p","id":1}}`, `{"r":{"type":"q","type":"p","id":null}}`},
		"a path that is not there":   {"data.x.y", `{"data":{"x":"text"}}`, `{"data":{"x":"text"}}`},
		"a key with a dot":           {`a\.b`, `{"a.b":1,"a":{"b":2}}`, `{"a.b":null,"a":{"b":2}}`},
		"brackets and quotes inside": {"a.b", `{"a":{"b":"}]\"{","c":"\\"}}`, `{"a":{"b":null,"c":"\\"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := kept(redaction(t, tt.path), tt.body)
			if string(got.Body) != tt.want {
				t.Errorf("kept   %s\nwant   %s", got.Body, tt.want)
			}
			changed := tt.want != tt.body
			if marked := got.KeptHash != [32]byte{}; marked != changed || changed && got.KeptHash != sha256.Sum256(got.Body) {
				t.Errorf("marked %v, want %v with the hash of what is kept", marked, changed)
			}
			if got.BodyHash != sha256.Sum256([]byte(tt.body)) {
				t.Error("the hash is no longer that of the bytes that came")
			}
		})
	}
}

func TestPathsInsideOneAnotherAreBlankedOnce(t *testing.T) {
	for _, paths := range [][]string{{"a", "a.b"}, {"a.b", "a"}, {"a", "a"}, {"a.b.c", "a", "a.b"}} {
		if got := kept(redaction(t, paths...), `{"a":{"b":{"c":1}},"d":2}`); string(got.Body) != `{"a":null,"d":2}` {
			t.Errorf("%v: kept %s", paths, got.Body)
		}
	}
}

func TestABodyInWhichPathsMeanNothingIsWithheld(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	for body, cause := range map[string]string{
		`{"data":{"name":"canary"`:                 "the body is not JSON",
		`["canary"]`:                               "the body is JSON, but not an object",
		strings.Repeat("[", 70) + `"canary"`:       "the body is nested deeper than 64 levels",
		`{"name":"canary"}{"data":{"name":"more"}`: "the body is not JSON",
	} {
		in := stored(body).Received
		in.BodyHash, in.Quarantine = sha256.Sum256(in.Body), cause
		got := redaction(t, "data.name").Kept(in)
		if bytes.Contains(got.Body, []byte("canary")) || !bytes.Contains(got.Body, []byte("withheld")) || got.KeptHash != sha256.Sum256(got.Body) {
			t.Errorf("%s: kept %s", body, got.Body)
		}
		ev, err := m.Event(event.Stored{ID: "ev_1", Received: got})
		if err != nil || ev.Quarantine != cause {
			t.Errorf("%s: planned as %q (%v), want %q", body, ev.Quarantine, err, cause)
		}
	}
}

func TestAKeptBodyIsWhatPlanningReadsAndDamageIsFound(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	got := kept(redaction(t, "data.partner.name"), `{"type":"transaction.failed","data":{"partner":{"id":"par_1","name":"canary"}}}`)
	ev, err := m.Event(event.Stored{ID: "ev_1", Received: got})
	if err != nil || ev.Text(event.PartnerID) != "par_1" || ev.Text(event.PartnerName) != "" {
		t.Errorf("planned as %v (%v)", ev.Fields, err)
	}
	got.Body = append(got.Body, ' ')
	if _, err := m.Event(event.Stored{ID: "ev_1", Received: got}); err == nil {
		t.Error("a body that is not the one that was kept was planned")
	}
}

func TestAnIDThatIsBlankedStandsNowhereElse(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, tt := range map[string]struct {
		path, body, foreign string
		origin              event.Origin
		want, wantBody      string
	}{
		"the sender's own":        {"id", `{"id":"evt_1","data":{}}`, "evt_1", event.OriginWebhook, "", `{"id":null,"data":{}}`},
		"a number":                {"id", `{"id":12}`, "12", event.OriginWebhook, "", `{"id":null}`},
		"inside what is blanked":  {"event", `{"event":{"id":"evt_1"}}`, "evt_1", event.OriginWebhook, "", `{"event":null}`},
		"one that was cut short":  {"id", `{"id":"` + long + `"}`, long[:200], event.OriginWebhook, "", `{"id":null}`},
		"another stays":           {"data.x", `{"id":"evt_1","data":{"x":"evt"}}`, "evt_1", event.OriginWebhook, "evt_1", `{"id":"evt_1","data":{"x":null}}`},
		"the envelope of a poll":  {"data.transaction.id", `{"id":"poll:t1","data":{"transaction":{"id":"t1"}}}`, "poll:t1", event.OriginReconcile, "", `{"id":null,"data":{"transaction":{"id":null}}}`},
		"the bridge's own events": {"data.x", `{"id":"a","data":{"x":1}}`, "a", event.OriginBridge, "a", `{"id":"a","data":{"x":1}}`},
	} {
		in := stored(tt.body).Received
		in.ForeignID, in.Origin = tt.foreign, tt.origin
		got := redaction(t, tt.path).Kept(in)
		if got.ForeignID != tt.want || string(got.Body) != tt.wantBody {
			t.Errorf("%s: id %q, body %s; want %q, %s", name, got.ForeignID, got.Body, tt.want, tt.wantBody)
		}
	}
}

func TestAPathThatBlanksTheTypeIsKnown(t *testing.T) {
	for path, want := range map[string]string{
		"type": "type", "event": "event.type", "event.type": "event.type", "data": "", "event.data": "", "event.0": "", "a.type": "", "kind": "", "kinds.kind": "kinds.0.kind",
	} {
		cfg := mapping.Config{Profile: "datasync", Paths: map[string][]string{"type": {"kinds.0.kind"}}}
		if got := cfg.TypeCovered(path); got != want {
			t.Errorf("%s covers %q, want %q", path, got, want)
		}
	}
}

// TestNothingOfARedactedValueIsLeft blanks random bodies at a random path and
// looks, with another JSON reader, for what a mapping could find there.
func TestNothingOfARedactedValueIsLeft(t *testing.T) {
	keys := rapid.SampledFrom([]string{"a", "b", "c"})
	rapid.Check(t, func(t *rapid.T) {
		var object func(depth int, path string) string
		object = func(depth int, path string) string {
			var members []string
			for range rapid.IntRange(0, 4).Draw(t, "members") {
				key := keys.Draw(t, "key")
				here := path + "/" + key
				value := `"` + here + `/"`
				switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
				case depth > 0 && kind == 0:
					value = object(depth-1, here)
				case depth > 0 && kind == 1:
					value = "[" + object(depth-1, here) + ", " + object(depth-1, here) + "]"
				}
				members = append(members, `"`+key+`" : `+value)
			}
			return "{" + strings.Join(members, ",") + "}"
		}
		body := object(3, "")
		path := rapid.SliceOfN(keys, 1, 3).Draw(t, "path")
		r, err := mapping.NewRedaction([]string{strings.Join(path, ".")})
		if err != nil {
			t.Fatal(err)
		}
		got := kept(r, body)
		if !json.Valid(got.Body) {
			t.Fatalf("%s became %s", body, got.Body)
		}
		// Every text names the keys that lead to it.
		if canary := `"/` + strings.Join(path, "/") + "/"; bytes.Contains(got.Body, []byte(canary)) {
			t.Errorf("%v left %s in %s", path, canary, got.Body)
		}
		if other := strings.Count(body, `/"`) - strings.Count(body, `"/`+strings.Join(path, "/")+"/"); strings.Count(string(got.Body), `/"`) != other {
			t.Errorf("%v: of %s only %s is left", path, body, got.Body)
		}
	})
}
