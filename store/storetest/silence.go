package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func quiet(id string, from, until time.Time) incident.Silence {
	return incident.Silence{ID: id, Match: map[string]any{"partner.id": "par_7h2k9"}, From: from, Until: until, By: "ana", Why: "maintenance"}
}

func (p *probe) silence(list ...incident.Silence) {
	p.Helper()
	p.ok(p.Apply(p.ctx(), incident.Plan{Silences: list}))
}

func (p *probe) silences() string {
	p.Helper()
	got, err := p.Silences(p.ctx())
	p.ok(err)
	return ids(got, func(s incident.Silence) string { return s.ID })
}

var silenceClaims = []claim{
	{"a silence is kept as it was made", func(p *probe) {
		want := quiet("sl_1", start, start.Add(time.Hour))
		want.Match = map[string]any{"type": "mdn.*", "partner.id": []any{"par_1", "par_2"}, "transaction.amount": map[string]any{"lt": json.Number("12.50")}}
		want.Expired = &incident.Mark{By: "bo", At: start.Add(time.Minute), Why: "done"}
		p.silence(want)
		p.Restart(p.T)
		got, err := p.Silences(p.ctx())
		p.ok(err)
		if diff := cmp.Diff([]incident.Silence{want}, got); diff != "" {
			p.Error(diff)
		}
	}},
	{"active and future silences come first, then the others, the last first", func(p *probe) {
		gone := quiet("sl_gone", start.Add(-3*time.Hour), start.Add(time.Hour))
		gone.Expired = &incident.Mark{By: "bo", At: start.Add(-time.Hour)}
		p.silence(quiet("sl_future", start.Add(time.Hour), start.Add(2*time.Hour)), quiet("sl_older", start.Add(-3*time.Hour), start.Add(-2*time.Hour)),
			gone, quiet("sl_active", start.Add(-time.Hour), start.Add(time.Minute)))
		equal(p, "order", p.silences(), "sl_active sl_future sl_gone sl_older ")
		p.pass(time.Minute)
		equal(p, "a minute later", p.silences(), "sl_future sl_active sl_gone sl_older ")
	}},
	{"a silence is replaced by its id, and one of the file is not stored", func(p *probe) {
		file := quiet("planned", start, start.Add(time.Hour))
		file.FromFile = true
		p.silence(quiet("sl_1", start, start.Add(time.Hour)), quiet("sl_1", start, start.Add(2*time.Hour)), file)
		got, err := p.Silences(p.ctx())
		p.ok(err)
		equal(p, "silences", fmt.Sprint(len(got), got[0].Until.Equal(start.Add(2*time.Hour))), "1 true")
	}},
	{"a silence goes thirty days after its end", func(p *probe) {
		gone := quiet("sl_gone", start, start.Add(100*day))
		gone.Expired = &incident.Mark{By: "bo", At: start}
		p.silence(quiet("sl_over", start.Add(-time.Hour), start), quiet("sl_long", start, start.Add(90*day)), gone)
		p.pass(30 * day)
		p.retain()
		equal(p, "on the last day", p.silences(), "sl_long sl_gone sl_over ")
		p.pass(time.Second)
		p.retain()
		equal(p, "after it", p.silences(), "sl_long ")
	}},
}

func (p *probe) loaded(hash, problem string) {
	p.Helper()
	l := incident.ConfigLoad{Hash: hash, At: p.Now(), By: "signal", Problem: problem}
	if problem == "" {
		l.Doc = []byte(`{"rules":"` + hash + `"}`)
	}
	p.ok(p.RecordLoad(p.ctx(), l))
}

// docs says of which configurations the document is kept.
func (p *probe) docs(hashes ...string) string {
	p.Helper()
	var kept []string
	for _, hash := range hashes {
		l, err := p.ConfigLoad(p.ctx(), hash)
		if err != nil && !errors.Is(err, event.ErrNotFound) {
			p.Fatal(err)
		}
		if l.Doc != nil {
			kept = append(kept, hash)
		}
	}
	return strings.Join(kept, " ")
}

var configClaims = []claim{
	{"each load is a line, and its document is kept once", func(p *probe) {
		p.loaded("a", "")
		p.pass(time.Minute)
		p.loaded("b", "config.yaml:3:1: nonsense")
		p.pass(time.Minute)
		p.loaded("a", "")
		all, err := p.Loads(p.ctx(), incident.Filter{})
		p.ok(err)
		equal(p, "newest first", ids(all, func(l incident.ConfigLoad) string { return fmt.Sprint(l.ID, l.Hash, l.By, l.Problem) }),
			"3asignal 2bsignalconfig.yaml:3:1: nonsense 1asignal ")
		l, err := p.ConfigLoad(p.ctx(), "a")
		p.ok(err)
		equal(p, "with its document", fmt.Sprint(l.At.Equal(start.Add(2*time.Minute)), string(l.Doc)), `true{"rules":"a"}`)
		l, err = p.ConfigLoad(p.ctx(), "b")
		p.ok(err)
		equal(p, "refused", fmt.Sprint(l.Problem, l.Doc == nil), "config.yaml:3:1: nonsensetrue")
		_, err = p.ConfigLoad(p.ctx(), "c")
		equal(p, "never loaded", errors.Is(err, event.ErrNotFound), true)
	}},
	{"loads are narrowed and continued", func(p *probe) {
		for k, hash := range []string{"a", "b", "c", "d"} {
			p.loaded(hash, strings.Repeat("!", k%2))
			p.pass(time.Hour)
		}
		for want, f := range map[string]incident.Filter{
			"d b ": {State: "refused"}, "c a ": {State: "in force"}, "b a ": {Before: "3"}, "d c ": {Since: start.Add(2 * time.Hour)},
			"a ": {Until: start.Add(time.Hour)}, "d ": {Limit: 1},
		} {
			got, err := p.Loads(p.ctx(), f)
			p.ok(err)
			equal(p, fmt.Sprintf("%+v", f), ids(got, func(l incident.ConfigLoad) string { return l.Hash }), want)
		}
		for _, f := range []incident.Filter{{State: "nonsense"}, {Before: "nonsense"}} {
			_, err := p.Loads(p.ctx(), f)
			equal(p, fmt.Sprintf("%+v", f), errors.Is(err, event.ErrNotFound), true)
		}
	}},
	{"a document is kept while it is in force, and while something is kept that it decided", func(p *probe) {
		p.loaded("old", "")
		plan := p.opened(p.someEvent(), "open for long")
		plan.Decision.Config = "old"
		p.ok(p.Apply(p.ctx(), plan))
		p.loaded("unused", "")
		p.loaded("live", "")
		p.pass(300 * day)
		p.retain()
		equal(p, "an open incident's, and the one in force", p.docs("old", "unused", "live"), "old live")
		p.resolve(p.incident(plan.Incidents[0].ID))
		p.loaded("new", "")
		p.loaded("refused", "nonsense")
		p.pass(90*day + time.Second)
		p.retain()
		equal(p, "once its events are gone", p.docs("old", "live", "new"), "new")
		p.pass(401 * day)
		p.retain()
		all, err := p.Loads(p.ctx(), incident.Filter{})
		p.ok(err)
		equal(p, "lines", ids(all, func(l incident.ConfigLoad) string { return l.Hash }), "new ")
	}},
	{"a document that comes into force again is needed again", func(p *probe) {
		p.loaded("a", "")
		p.loaded("b", "")
		p.pass(80 * day)
		p.loaded("a", "")
		p.pass(20 * day)
		p.retain()
		equal(p, "kept", p.docs("a", "b"), "a b")
		p.pass(80 * day)
		p.retain()
		equal(p, "kept later", p.docs("a", "b"), "a")
	}},
}
