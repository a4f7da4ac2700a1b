package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
)

// hashOfNothing is the SHA-256 of the body {}.
const hashOfNothing = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

var upgradedAt = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

// firstSchema makes a file as the first version of the bridge left it, with a
// row in each table.
func firstSchema(t *testing.T, path string) (before map[string]int) {
	t.Helper()
	if err := preparePlace(path); err != nil {
		t.Fatal(err)
	}
	db := open(path, false)
	defer db.Close() //nolint:errcheck // closed below
	upTo(t, db, 1)
	us := upgradedAt.UnixMicro()
	run(t, db,
		"UPDATE meta SET epoch = 41",
		"INSERT INTO sources VALUES (1, 'datasync', 'production', 'webhook', 1)",
		fmt.Sprintf("INSERT INTO events VALUES (7, 1, %d, randomblob(32), x'"+hashOfNothing+"', 0, 'transaction.failed', 'evt_7', '', 3, NULL)", us),
		"INSERT INTO bodies VALUES (7, x'7b7d')",
		"INSERT INTO decisions VALUES (7, 'planned', 7, 0, '{}')",
		fmt.Sprintf("INSERT INTO events VALUES (8, 1, %d, randomblob(32), x'"+hashOfNothing+"', 0, 'transaction.failed', 'evt_8', '', 0, NULL)", us),
		"INSERT INTO bodies VALUES (8, x'7b7d')",
		"INSERT INTO pending (event) VALUES (8)",
		fmt.Sprintf(`INSERT INTO incidents VALUES (7, 'production', 'k', 'datasync', 'open', %d, NULL, 5, '{"ID":"%s","MaxMembers":3}')`, us, formatID(incidentID, 7)),
		fmt.Sprintf(`INSERT INTO members VALUES (1, 7, 'txn:1', 'connectivity', 1, NULL, %d, NULL, 7, '{"ID":"txn:1","Open":true,"Transaction":"1"}')`, us),
		"INSERT INTO handles VALUES ('production', 'txn:1', 1)",
		fmt.Sprintf("INSERT INTO recoveries VALUES ('production', 'txn:1', 'transaction.delivered', %d, %d, 'ev')", us, us),
		fmt.Sprintf(`INSERT INTO notices VALUES ('n', %d, '{"Key":"n","Total":4}')`, us),
		fmt.Sprintf("INSERT INTO timers VALUES ('notice', 'n', %d)", us),
		fmt.Sprintf("INSERT INTO timeline VALUES (1, 7, %d, '', '', '', 'opened', 'it broke', '')", us),
		fmt.Sprintf(`INSERT INTO deliveries (order_key, incident, notifier, kind, rank, alarm, state, turn, listed, queued_at, next_at,
			destination, fingerprint, text, snapshot) VALUES ('k', 7, 'slack', 'opening', 0, 1, 'waiting', 2, 1, %d, %d, 'C1', 'f', 't', '{}')`, us, us),
		firstRun("queued", "txn_queued", "", us), firstRun("started", "txn_started", "w:txn_started:1", us),
		firstRun("unknown", "txn_unknown", "w:txn_unknown:1", us), firstRun("done", "txn_done", "w:txn_done:1", us),
	)
	before = rowsOf(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return before
}

// secondSchema goes on to a file as the second version left it.
func secondSchema(t *testing.T, path string) (before map[string]int) {
	t.Helper()
	firstSchema(t, path)
	db := open(path, false)
	defer db.Close() //nolint:errcheck // closed below
	upTo(t, db, 2)
	us := upgradedAt.UnixMicro()
	line := incident.Audit{ID: 1, At: upgradedAt, Actor: "ana", Action: incident.AuditStopped, Subject: "all", Why: "why"}
	run(t, db,
		fmt.Sprintf("INSERT INTO breakers VALUES ('production', 'par_1', 2, %d)", us),
		fmt.Sprintf("INSERT INTO switches VALUES ('', 'ana', %d, 'why')", us),
		fmt.Sprintf("INSERT INTO polls (name, watermark, due_at) VALUES ('datasync', %d, %d)", us, us),
		fmt.Sprintf(`INSERT INTO partners VALUES ('production', 'par_1', NULL, %d, '{"Name":"ACME"}')`, us),
		fmt.Sprintf("INSERT INTO audit VALUES (1, %d, 'ana', '%s', 'all', 'why', '', '', '', '', '', '', '', '%s')", us, line.Action, line.Digest()),
	)
	before = rowsOf(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return before
}

// thirdSchema and fourthSchema go on from there.
func thirdSchema(t *testing.T, path string) (before map[string]int) {
	t.Helper()
	secondSchema(t, path)
	us := upgradedAt.UnixMicro()
	return goOn(t, path, 3,
		fmt.Sprintf("INSERT INTO digest_items VALUES ('morning', 7, 'morning', 'slack', 'production', 'par_1', 2, 'it broke', %d, NULL)", us),
		fmt.Sprintf("INSERT INTO digests VALUES ('morning', %d)", us),
		fmt.Sprintf(`INSERT INTO silences VALUES ('sl_1', %d, %d, '{"ID":"sl_1"}')`, us, us+1),
		fmt.Sprintf("INSERT INTO config_loads (hash, at, by, problem) VALUES ('h', %d, 'start', '')", us),
		"INSERT INTO config_docs VALUES ('h', x'7b7d')",
	)
}

func fourthSchema(t *testing.T, path string) (before map[string]int) {
	t.Helper()
	thirdSchema(t, path)
	return goOn(t, path, 4, "UPDATE bodies SET hash = x'"+hashOfNothing+"' WHERE event = 8")
}

func fifthSchema(t *testing.T, path string) (before map[string]int) {
	t.Helper()
	fourthSchema(t, path)
	return goOn(t, path, 5, "INSERT INTO prints VALUES (6, 0, x'')")
}

func goOn(t *testing.T, path string, version int64, queries ...string) (rows map[string]int) {
	t.Helper()
	db := open(path, false)
	upTo(t, db, version)
	run(t, db, queries...)
	rows = rowsOf(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func upTo(t *testing.T, db *sql.DB, version int64) {
	t.Helper()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(database.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(context.Background(), version); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, db *sql.DB, queries ...string) {
	t.Helper()
	for _, query := range queries {
		if _, err := db.ExecContext(context.Background(), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
}

func firstRun(state, transaction, key string, us int64) string {
	started, ordinal := "NULL", 0
	if key != "" {
		started, ordinal = strconv.FormatInt(us, 10), 1
	}
	return fmt.Sprintf(`INSERT INTO runs (remediation, workflow, transaction_id, partner, incident, event, state, key, ordinal, created_at,
		started_at, next_at, lease_epoch, lease_token, doc) VALUES ('r', 'w', '%[1]s', 'par_1', 7, 7, '%[2]s', '%[3]s', %[4]d, %[5]d, %[6]s, %[5]d, 41, 1,
		'{"Remediation":"r","Workflow":"w","Transaction":"%[1]s","Partner":"par_1","Environment":"production","State":"%[2]s","Key":"%[3]s",
		"NextAt":"2026-11-20T08:00:00Z","Limits":{"PerTransaction":{"Count":1,"Per":3600000000000}}}')`, transaction, state, key, ordinal, us, started)
}

// rowsOf counts the rows of every table.
func rowsOf(t *testing.T, db *sql.DB) map[string]int {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%'")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	err = each(rows, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, name := range names {
		var n int
		if err := db.QueryRowContext(context.Background(), "SELECT count(*) FROM "+name).Scan(&n); err != nil {
			t.Fatal(err)
		}
		counts[name] = n
	}
	return counts
}

func TestAFileOfAnEarlierSchemaKeepsEveryRow(t *testing.T) {
	t.Run("first", func(t *testing.T) { keepsEveryRow(t, firstSchema, 14) })
	t.Run("second", func(t *testing.T) { keepsEveryRow(t, secondSchema, 19) })
	t.Run("third", func(t *testing.T) { keepsEveryRow(t, thirdSchema, 24) })
	t.Run("fourth", func(t *testing.T) { keepsEveryRow(t, fourthSchema, 24) })
	t.Run("fifth", func(t *testing.T) { keepsEveryRow(t, fifthSchema, 26) })
}

func keepsEveryRow(t *testing.T, earlier func(*testing.T, string) map[string]int, tables int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bridge.db")
	before := earlier(t, path)
	s := openAt(t, path, func() time.Time { return upgradedAt })
	after := rowsOf(t, s.reads)
	if len(before) < tables || len(after) < len(before) {
		t.Fatalf("%d tables before, %d after", len(before), len(after))
	}
	for table, n := range before {
		if n == 0 || after[table] != n {
			t.Errorf("%s has %d rows, had %d", table, after[table], n)
		}
	}
	ctx := context.Background()
	v, err := s.Load(ctx, incident.Query{Environment: event.Production, Key: "k", Handles: []string{"txn:1"}, Notice: "n"})
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Incidents) != 1 || v.Incidents[0].Version != 5 || len(v.Matched) != 1 || len(v.Recoveries) != 1 || v.Notice == nil || v.Notice.Total != 4 {
		t.Errorf("a plan would see %+v", v)
	}
	d, _, err := s.Claim(ctx, "slack", time.Minute)
	if err != nil || d == nil {
		t.Errorf("the delivery that waited: %v (%v)", d, err)
	}
	if s.epoch != 42 {
		t.Errorf("epoch %d, want 42", s.epoch)
	}
	if _, err := s.VerifyAudit(ctx); err != nil {
		t.Error(err)
	}
	if sound, err := s.Verify(ctx); err != nil || len(sound.Faults) > 0 {
		t.Errorf("after it: %q (%v)", sound.Faults, err)
	}
	// What was kept before is also what later reads find.
	held, err := s.Held(ctx)
	if err != nil || len(held) != 0 {
		t.Errorf("held: %v (%v), want none", held, err)
	}
	found, err := s.FindEvents(ctx, incident.Find{Transaction: "1", At: upgradedAt})
	if err != nil || len(found.Events) != 0 {
		t.Errorf("found: %+v (%v), want none: its body does not hold it", found, err)
	}
	for _, until := range []time.Time{{}, upgradedAt.Add(time.Second)} {
		if n, err := s.HistorySize(ctx, time.Time{}, until); err != nil || n != 1 {
			t.Errorf("history until %v of %d (%v), want 1", until, n, err)
		}
	}
}

func TestRunsOfTheFirstSchemaGoOnAsTheyWere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	firstSchema(t, path)
	now := upgradedAt
	s := openAt(t, path, func() time.Time { return now })
	ctx := context.Background()
	claim := func() string {
		r, _, err := s.ClaimRun(ctx, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if r == nil {
			return "nothing"
		}
		end := *r
		if r.State == incident.RunStarted {
			end.State = incident.RunDone
		}
		if err := s.Apply(ctx, incident.Plan{Runs: []incident.Run{end}}); err != nil {
			t.Fatal(err)
		}
		return string(r.Environment) + " " + r.Key + " " + string(r.State)
	}
	if got := claim(); got != "production w:txn_queued:1 started" {
		t.Errorf("the queued run: %s", got)
	}
	if got := claim(); got != "nothing" {
		t.Errorf("an unclear run that is left to a person was claimed: %s", got)
	}
	lapsed, err := s.LapsedRuns(ctx)
	if err != nil || len(lapsed) != 1 || lapsed[0].Transaction != "txn_started" {
		t.Errorf("lapsed: %+v (%v)", lapsed, err)
	}
	another := incident.Run{Environment: event.Production, Remediation: "r", Workflow: "w", Transaction: "txn_done", Partner: "par_1"}
	another.Limits.PerTransaction = incident.Rate{Count: 1, Per: time.Hour}
	for _, want := range []string{"production  refused", "production w:txn_done:2 started"} {
		if err := s.Apply(ctx, incident.Plan{Runs: []incident.Run{another}}); err != nil {
			t.Fatal(err)
		}
		if got := claim(); got != want {
			t.Errorf("beside a run of before: %s, want %s", got, want)
		}
		now = now.Add(2 * time.Hour)
	}
}

func TestAReaderOfAFileOfAnEarlierSchemaIsToldToStartTheBridgeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	secondSchema(t, path)
	cfg := store.Config{SQLite: store.SQLite{Path: path}}
	if _, err := OpenReadOnly(context.Background(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), "start the bridge once") {
		t.Errorf("open: %v, want to be told the next step", err)
	}
	if err := tryOpen(path); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReadOnly(context.Background(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for version := range int64(newestSchema) {
		if err := inspect(path, version); !errors.Is(err, ErrNewer) {
			t.Errorf("version %d would say %v, want %v", version, err, ErrNewer)
		}
	}
}
