package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Words of one partner's business. Each stands nowhere else.
const (
	canaryPartner = "par_canary_9931"
	canaryTrader  = "Canary-Traders-Ltd"
	canaryPO      = "PO-CANARY-5512"
	canaryTxn     = "txn_canary_777"
	canaryFault   = "canary: the dock refused pallet 12"
	canaryAmount  = "918273.64"
)

var canaries = []string{canaryPartner, canaryTrader, canaryPO, canaryTxn, canaryFault, canaryAmount}

// canaryEvent is an event with a canary in every field of business.
func canaryEvent(t *testing.T, id, kind string, n int) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"id": "evt_" + id, "type": kind, "created_at": time.Now().UTC().Format(time.RFC3339Nano), "environment": "production",
		"data": map[string]any{
			"transaction": map[string]any{
				"id": fmt.Sprintf("%s_%d", canaryTxn, n), "direction": "outbound", "document_type": "850",
				"amount":     map[string]any{"value": canaryAmount, "currency": "USD"},
				"references": map[string]any{"po_number": fmt.Sprintf("%s-%d", canaryPO, n)},
			},
			"partner":   map[string]any{"id": canaryPartner, "name": canaryTrader},
			"transport": map[string]any{"protocol": "AS2", "message_id": "<" + canaryTxn + "@example.com>"},
			"error":     map[string]any{"code": "E42", "category": "connectivity", "message": canaryFault},
			"attempt":   map[string]any{"number": 4, "max": 4, "final": true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// planned waits until nothing waits to be planned or told.
func (s *served) planned() {
	s.t.Helper()
	store := openStore(s.t, s.config)
	defer func() { _ = store.Close() }()
	eventually(s.t, 30*time.Second, "all is planned and told", func() bool {
		stats, err := store.Stats(s.t.Context())
		return err == nil && stats.Pending == 0 && len(stats.Waiting) == 0
	})
}

// TestAPurgeLeavesNoByteAndKeepsItsPromises takes a partner's business away
// from a running bridge, and searches every byte of its store.
func TestAPurgeLeavesNoByteAndKeepsItsPromises(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	path := configuration(t, far.url, `
defaults: {notify: [ops, pager]}
rules:
  - {name: notes, match: {type: partner.renamed}, notify: [ops]}
`)
	s := startServe(t, path)
	var ids []string
	bodies := map[string][]byte{}
	for n := range 30 { // enough that rows move from page to page as they grow
		body := canaryEvent(t, fmt.Sprintf("a%d", n), "transaction.failed", n)
		id := s.accept(body)
		ids, bodies[id] = append(ids, id), body
		s.accept(happening{id: n, kind: "transaction.failed", transaction: n, document: "856", partner: "01"}.body())
	}
	ids = append(ids, s.accept(canaryEvent(t, "note", "partner.renamed", 1)))
	if a, err := post(hurried, s.public, []byte(`{"broken": "`+canaryPartner+` `+canaryFault)); err != nil || a.Code != "quarantined" {
		t.Fatalf("%+v (%v)", a, err)
	}
	s.planned()

	// Open incidents are left as they are, and said to be.
	open := s.command("events", "purge", "--partner", canaryPartner, "--yes", "--why", "too early")
	if open.code != exitFailed || !strings.Contains(open.out, "left, because something is open") || !strings.Contains(open.out, "in_") {
		t.Fatalf("with open incidents: %v", open)
	}
	var mine string
	for _, i := range listJSON[struct {
		ID      string `json:"id"`
		Partner string `json:"partner"`
	}](t, "incidents", "list", "-c", path) {
		mine = i.ID
		s.works("incidents", "resolve", i.ID, "--why", "over")
	}
	s.planned()
	dry := s.works("events", "purge", "--partner", canaryPartner)
	if !strings.Contains(dry, "WOULD GO") || !strings.Contains(dry, "nothing was changed") {
		t.Errorf("a dry run:\n%s", dry)
	}
	if text := s.works("events", "show", ids[0]); !strings.Contains(text, canaryTrader) {
		t.Errorf("a dry run has taken something away:\n%s", text)
	}
	s.works("events", "purge", "--partner", canaryPartner, "--yes", "--why", "contract ended")

	for name, text := range onDisk(t, path) {
		for _, canary := range canaries[1:] {
			if n := strings.Count(text, canary); n > 0 {
				at := strings.Index(text, canary)
				t.Errorf("%s holds %q %d times: …%q…", name, canary, n, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
	// The record of deeds says whose; nothing else does.
	if n := strings.Count(onDisk(t, path)["bridge.db"], canaryPartner); n > s.audited()[incident.AuditPurged] {
		t.Errorf("the partner's id stands %d times in the file; in the record it is %d times", n, s.audited()[incident.AuditPurged])
	}
	if n := s.audited()[incident.AuditPurged]; n == 0 {
		t.Error("it is not recorded")
	}
	again, err := post(hurried, s.public, bodies[ids[0]])
	if err != nil || again.Status != http.StatusOK || again.Code != "duplicate" || again.EventID != ids[0] {
		t.Errorf("the same event again: %+v (%v), want a duplicate", again, err)
	}
	for _, args := range [][]string{{"explain", ids[0]}, {"explain", mine}, {"events", "show", ids[0]}, {"incidents", "show", mine}, {"deliveries"}, {"events", "list", "--state", "purged"}} {
		if out := s.works(args...); strings.TrimSpace(out) == "" {
			t.Errorf("%v says nothing", args)
		}
	}
	if text := s.works("explain", ids[0]); !strings.Contains(text, "PURGED") || !strings.Contains(text, "ops") {
		t.Errorf("explain does not say what became of it:\n%s", text)
	}
	// Another's are as they were, and the bridge goes on.
	others := listJSON[struct {
		ID    string `json:"id"`
		State string `json:"state"`
	}](t, "events", "list", "-c", path, "--limit", "100")
	kept := 0
	for _, e := range others {
		if e.State == string(event.Planned) {
			kept++
		}
	}
	if kept != 30 {
		t.Errorf("%d of the others' 30 events are kept", kept)
	}
	if out := s.works("events", "purge", "--partner", canaryPartner); !bytes.Contains([]byte(out), []byte("events           0")) {
		t.Errorf("once more:\n%s", out)
	}
	s.accept(canaryEvent(t, "later", "transaction.failed", 1))
	s.planned()
	if s.stop() != exitOK {
		t.Error(s.log())
	}
}

func TestAPurgeSaysHowManyMoreAreOpenThanItNames(t *testing.T) {
	for more, want := range map[int]string{0: "in_1, in_2\n", 5: "in_1, in_2 and 5 more\n"} {
		var out bytes.Buffer
		c := &cli{streams: streams{out: &out}, output: "table"}
		err := c.writePurged(incident.Purge{Apply: true}, incident.Purged{LeftIncidents: 2 + more, Open: []string{"in_1", "in_2"}})
		if err != nil || !strings.Contains(out.String(), "under way: "+want) {
			t.Errorf("%v\n%s\nwant %q", err, out.String(), want)
		}
	}
}
