package sqlite

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Each query here runs for every delivery, event or timer. None may walk a
// table, sort, or use an index that holds more than the rows in question.
func TestWhatRunsOftenFindsItsRowsByTheRightIndex(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	for _, tt := range []struct{ query, index string }{
		{"SELECT id FROM deliveries WHERE turn = 2 AND notifier = ? ORDER BY rank, id LIMIT 1", "deliveries_ready"},
		{"SELECT id FROM deliveries WHERE turn = 1 AND notifier = ? AND next_at <= ? ORDER BY next_at LIMIT 500", "deliveries_later"},
		{"SELECT min(next_at) FROM deliveries WHERE turn = 1 AND notifier = ?", "deliveries_later"},
		{"UPDATE deliveries SET turn = 1 WHERE turn = 3 AND notifier = ? AND lease_until <= ? RETURNING notifier, order_key", "deliveries_sending"},
		{"SELECT id FROM deliveries WHERE notifier = ? AND order_key = ? AND turn IS NOT NULL ORDER BY id LIMIT 1", "deliveries_unfinished"},
		{takeTurns, "deliveries_heads"},
		{supersedeEdits, "deliveries_edits"},
		{unlistSent, "deliveries_listed"},
		{"SELECT o.ref FROM deliveries o WHERE o.incident = ? AND o.notifier = ? AND o.ref <> '' ORDER BY o.id DESC LIMIT 1", "deliveries_threads"},
		{"SELECT o.fingerprint FROM deliveries o WHERE o.incident = ? AND o.notifier = ? AND o.alarm = ? AND o.state = 'sent' ORDER BY o.id DESC LIMIT 1", "deliveries_incident"},
		{"SELECT " + queuedColumns + " FROM deliveries WHERE incident = ? AND listed = 1 ORDER BY id", "deliveries_listed"},
		{listMembers, "members_listed"},
		{"SELECT id FROM incidents WHERE environment = ? AND key = ? AND state = 'open'", "incidents_open"},
		{"SELECT kind, subject, due_at FROM timers WHERE due_at <= ? ORDER BY due_at LIMIT ?", "timers_due"},
		{dueRuns, "runs_due"},
		{nextDueRun, "runs_due"},
		{lastOrdinal, "runs_ordinal"},
		{"SELECT id FROM runs " + ofKey, "runs_key"},
		{startsPerPartner, "runs_by_partner"},
		{startsPerPartner, "runs_of_partner"},
		{startsPerTransaction, "runs_by_transaction"},
		{startsOverall, "runs_by_time"},
		{startsOverall, "runs_of_time"},
		{lastStart, "runs_by_transaction"},
		{lastStart, "runs_ordinal"},
		{"SELECT id FROM runs WHERE state = 'started' AND (lease_epoch <> ? OR lease_until <= ?) ORDER BY id", "runs_unfinished"},
		{"SELECT count(*) FROM runs WHERE state = 'awaiting'", "runs_unfinished"},
		{duePartners, "partners_due"},
		{openMembers, "members_event"},
		{openItems, "digest_items_open"},
		{"SELECT id FROM silences WHERE ends_at < ? LIMIT ?", "silences_ends"},

		{selectHistory, "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"},
		{selectLoads + "WHERE hash = ? LIMIT 1", "config_loads_hash"},
		{"SELECT max(id) FROM config_loads WHERE problem = ''", "config_loads_good"},
		{"SELECT incident FROM members WHERE id = ?", "members_id"},
		{"SELECT incident FROM members WHERE json_extract(doc, '$.Reference') = ?", "members_reference"},
	} {
		parameters := strings.Count(tt.query, "?")
		if strings.Contains(tt.query, "?1") { // numbered: some stand twice
			for parameters = 9; !strings.Contains(tt.query, "?"+strconv.Itoa(parameters)); {
				parameters--
			}
		}
		args := make([]any, parameters)
		rows, err := s.reads.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+tt.query, args...)
		if err != nil {
			t.Fatalf("%s: %v", tt.query, err)
		}
		var plan []string
		err = each(rows, func(scan func(...any) error) error {
			var id, parent, unused int
			var detail string
			err := scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(plan, "; ")
		for _, small := range []string{"SCAN meta", "SCAN (subquery-1)"} { // of one row; of what an index has found
			got = strings.ReplaceAll(got, small, "")
		}
		got = strings.TrimPrefix(got, "SCAN CONSTANT ROW; ")
		if !strings.Contains(got, tt.index) || strings.Contains(got, "SCAN") || strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%s\n\tis done by: %s\n\twant index %s", tt.query, got, tt.index)
		}
	}
}
