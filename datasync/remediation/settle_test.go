package remediation

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/routing/incident"
)

func TestSettled(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	failed := func(kind datasync.Kind, status int, sent bool) *datasync.Error {
		return &datasync.Error{Op: "run w", Kind: kind, Status: status, Sent: sent, RequestID: "req_1", Err: context.DeadlineExceeded}
	}
	late := failed(datasync.RateLimit, 429, true)
	late.RetryAfter = 7 * time.Second
	forever := failed(datasync.RateLimit, 429, true)
	forever.RetryAfter = 24 * time.Hour
	for _, tt := range []struct {
		name     string
		attempts int
		err      error
		want     incident.RunState
		next     time.Duration
	}{
		{"accepted", 1, nil, incident.RunDone, 0},
		{"an invalid payload", 1, failed(datasync.Payload, 422, true), incident.RunFailed, 0},
		{"a key that fits no header", 1, failed(datasync.Payload, 0, false), incident.RunFailed, 0},
		{"a token refused twice", 1, failed(datasync.Token, 401, true), incident.RunFailed, 0},
		{"wrong credentials", 1, failed(datasync.Token, 401, false), incident.RunFailed, 0},
		{"a missing scope", 1, failed(datasync.Scope, 403, true), incident.RunFailed, 0},
		{"no such address", 1, failed(datasync.NotFound, 404, true), incident.RunFailed, 0},
		{"a 5xx", 1, failed(datasync.Server, 500, true), incident.RunUnknown, 0},
		{"a 409", 1, failed(datasync.Unexpected, 409, true), incident.RunUnknown, 0},
		{"a redirect", 1, failed(datasync.Unexpected, 307, true), incident.RunUnknown, 0},
		{"a reset or timeout after the request", 1, failed(datasync.Network, 0, true), incident.RunUnknown, 0},
		{"an error nobody knows", 1, errors.New("?"), incident.RunUnknown, 0},
		{"no connection", 1, failed(datasync.Network, 0, false), incident.RunQueued, time.Second},
		{"no connection, again", 3, failed(datasync.Network, 0, false), incident.RunQueued, 4 * time.Second},
		{"no connection for long", 5, failed(datasync.Network, 0, false), incident.RunFailed, 0},
		{"no token for a 5xx", 1, failed(datasync.Server, 503, false), incident.RunQueued, time.Second},
		{"too many, with a pause", 1, late, incident.RunQueued, 7 * time.Second},
		{"too many, without one", 1, failed(datasync.RateLimit, 429, true), incident.RunQueued, 30 * time.Second},
		{"too many, with a day's pause", 1, forever, incident.RunQueued, 15 * time.Minute},
		{"too many for long", 5, late, incident.RunFailed, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run := incident.Run{Workflow: "w", Transaction: "txn_1", Key: "w:txn_1:1", State: incident.RunStarted, Attempts: tt.attempts}
			answer := datasync.RunAnswer{}
			if tt.err == nil {
				answer = datasync.RunAnswer{RunID: "run_9", RequestID: "req_1"}
			}
			for _, jitter := range []float64{0, 0.999} {
				got := settled(run, answer, tt.err, now, jitter)
				if got.State != tt.want || got.Key != run.Key {
					t.Fatalf("%s under key %s, want %s under the same key", got.State, got.Key, tt.want)
				}
				if next := got.NextAt.Sub(now); tt.next > 0 && (next > tt.next || next < tt.next/2) {
					t.Errorf("next in %v, want %v at most and half of it at least", next, tt.next)
				}
				if ended := !got.EndedAt.IsZero(); ended == (tt.want == incident.RunQueued) {
					t.Errorf("ended at %v", got.EndedAt)
				}
				if !strings.Contains(got.Why, "txn_1") {
					t.Errorf("why %q does not name the transaction", got.Why)
				}
				if _, typed := errors.AsType[*datasync.Error](tt.err); (typed || tt.err == nil) && got.RequestID != "req_1" {
					t.Errorf("request id %q is lost", got.RequestID)
				}
			}
		})
	}
}

func TestUnknownRunNamesItsKey(t *testing.T) {
	run := unknown(incident.Run{Transaction: "txn_1", Key: "w:txn_1:2"}, "interrupted", time.Now())
	if !strings.Contains(run.Why, "w:txn_1:2") {
		t.Errorf("why %q: nobody can look for it in Datasync", run.Why)
	}
}
