package trial

import (
	"cmp"
	"slices"

	"datasync-bridge/routing/incident"
)

const (
	// maxMatched bounds View.Matched; listedBeside is what Listed holds beyond
	// max_members, as in the store.
	maxMatched   = 100
	listedBeside = 8
)

// load implements the store's Load.
func (k *book) load(q incident.Query) incident.View {
	var v incident.View
	var wanted []*kept
	want := func(inc *kept) {
		if inc != nil && !slices.Contains(wanted, inc) {
			wanted = append(wanted, inc)
		}
	}
	if q.Key != "" {
		at := place{q.Environment, q.Key}
		want(cmp.Or(k.open[at], k.resolved[at]))
	}
	for _, m := range k.matched(q) {
		v.Matched = append(v.Matched, m.MatchedMember)
		want(k.incidents[m.Incident])
	}
	for i, h := range q.Handles {
		if list := k.recoveries[place{q.Environment, h}]; len(list) > 0 && !slices.Contains(q.Handles[:i], h) {
			v.Recoveries = append(v.Recoveries, list...)
		}
	}
	if q.RunKey != "" {
		for _, r := range k.runs {
			if r.Key == q.RunKey && r.Environment == q.Environment { // one at most
				v.Run = &r
				want(k.incidents[r.Incident])
			}
		}
	}
	for _, id := range q.Incidents {
		want(k.incidents[id])
	}
	for _, inc := range wanted {
		v.Incidents = append(v.Incidents, inc.whole())
	}
	if n, known := k.notices[q.Notice]; known {
		v.Notice = &n
	}
	v.Digest = k.digest(q.Digest)
	return v
}

// matched finds open members by handle.
func (k *book) matched(q incident.Query) (found []*member) {
	for _, h := range q.Handles {
		list := k.members[place{q.Environment, h}]
		for _, m := range list[:min(len(list), maxMatched)] {
			if len(found) < maxMatched && !slices.Contains(found, m) {
				found = append(found, m)
			}
		}
	}
	return found
}

// whole is an incident with what is loaded beside its row.
func (i *kept) whole() incident.Incident {
	inc := i.Incident
	n := min(len(i.members), inc.MaxMembers+listedBeside)
	inc.Listed = make([]incident.Member, 0, n)
	for _, m := range i.members[:n] {
		inc.Listed = append(inc.Listed, m.Member)
	}
	inc.Queue = slices.Clone(i.told)
	return inc
}

// digest reads what is in a digest, nil where nothing is.
func (k *book) digest(key string) *incident.DigestView {
	items := k.digests[key]
	if len(items) == 0 {
		return nil
	}
	v := incident.DigestView{Since: k.told[key]}
	for _, item := range items {
		if v.Name = max(v.Name, item.Name); item.Ended.IsZero() {
			v.Items = append(v.Items, item)
		} else {
			v.Ended++
		}
	}
	slices.SortFunc(v.Items, func(a, b incident.DigestItem) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.Incident, b.Incident))
	})
	if n := len(v.Items); n > incident.MaxDigest {
		v.Items, v.More = v.Items[:incident.MaxDigest], n-incident.MaxDigest
	}
	return &v
}
