package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// reports prints a report of everything in one form.
func (r *rehearsal) reports(form string) string {
	r.t.Helper()
	var out bytes.Buffer
	c := &cli{streams: streams{out: &out}, output: form}
	if err := c.report(context.Background(), r.cfg, r.store, time.Time{}, time.Time{}); err != nil {
		r.t.Fatal(err)
	}
	return out.String()
}

func TestRouting39AReportHasALineForEachIncident(t *testing.T) {
	rehearse(t, andLead+explainedRules, func(r *rehearsal) {
		r.failed("txn_1", "partner.name", `=HYPERLINK("https://evil.example","x")`)
		r.failed("txn_2")
		r.pass(10 * time.Minute)
		if err := r.dispatch.Acknowledge(context.Background(), r.incidents()[0].ID, "ana", "calling, \"now\""); err != nil {
			t.Fatal(err)
		}
		r.pass(20 * time.Minute)
		r.delivered("txn_1")
		r.delivered("txn_2")
		r.failed("txn_3", "partner.id", "par_2", "partner.name", "-Oak, Mere", "transaction.document_type", "846",
			"sla.estimated_penalty", "USD 2500")
		text := r.reports("csv")
		golden(t, "report-csv", numbered(text))
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(rows) != 3 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		if strings.Count(text, "\r\n") != 3 {
			t.Errorf("%q does not end its lines as RFC 4180 says", text)
		}
		for _, row := range rows[1:] {
			for i, cell := range row {
				if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
					t.Errorf("%s is %q, which a spreadsheet would run", reportHeader[i], cell)
				}
			}
		}
		var all []reported
		if err := json.Unmarshal([]byte(r.reports("json")), &all); err != nil || len(all) != 2 {
			t.Fatalf("%d incidents, %v", len(all), err)
		}
		first := all[0]
		if first.Pages != 1 || first.Messages == 0 || first.By != "ana" || first.How != "recovered" || first.Documents != 2 || first.Seconds != 1806 {
			t.Errorf("the first is %+v", first)
		}
		if all[1].How != "open" || all[1].Penalty != "USD 2500" {
			t.Errorf("the second is %+v", all[1])
		}
		table := r.reports("table")
		golden(t, "report", numbered(table))
		narrow(t, table)
	})
}

func TestAReportIsReadPageByPage(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		for n := range 7 {
			r.failed("txn_"+string(rune('a'+n)), "partner.id", "par_"+string(rune('a'+n)))
		}
		after, seen := "", 0
		for {
			page, err := r.store.Report(context.Background(), time.Time{}, time.Time{}, after, 3)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range page {
				if i.ID <= after {
					t.Errorf("%s after %s", i.ID, after)
				}
				after = i.ID
			}
			if seen += len(page); len(page) < 3 {
				break
			}
		}
		if seen != 7 {
			t.Errorf("%d incidents, want 7", seen)
		}
		matched, events, err := r.store.RulesMatched(context.Background(), rehearsalStart)
		if err != nil || events != 7 || matched["page"] != 7 {
			t.Errorf("%d events, %v, %v", events, matched, err)
		}
		if _, events, err := r.store.RulesMatched(context.Background(), time.Now().Add(time.Hour)); err != nil || events != 0 {
			t.Errorf("%d events of the future, %v", events, err)
		}
	})
}
