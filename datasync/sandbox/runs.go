package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
)

// Run is one run of an automation that was started here.
type Run struct {
	ID          string         `json:"id"`
	Workflow    string         `json:"workflow"`
	Transaction string         `json:"transaction"`
	Params      map[string]any `json:"params"`
	Key         string         `json:"idempotency_key"`
}

// ranOnce remembers what a key was used for.
type ranOnce struct {
	run  string
	body string
}

// Runs returns the runs that truly ran, oldest first, whatever their callers
// were answered: a repeated key is there twice only with IgnoreKeys.
func (s *Sandbox) Runs() []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.started)
}

// FailRun makes the next run that is accepted end as automation.failed.
func (s *Sandbox) FailRun(f Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = append(s.failing, f)
}

// postRun starts a workflow for the transaction that its params name. The body
// {"workflow", "params", "idempotency_key"} and the answer are assumed.
func (s *Sandbox) postRun(w http.ResponseWriter, r *http.Request) {
	var in map[string]any
	if !s.read(w, r, &in) {
		return
	}
	run := Run{Key: r.Header.Get(s.o.KeyHeader)}
	run.Workflow, _ = in["workflow"].(string)
	run.Params, _ = in["params"].(map[string]any)
	run.Transaction, _ = run.Params["transaction_id"].(string)
	inBody, _ := in[s.o.KeyField].(string)
	setText(&run.Key, inBody)

	s.mu.Lock()
	fault := s.faultOf(run, inBody)
	var status int
	var answer map[string]any
	if fault == "" {
		status, answer = s.start(run)
	}
	s.mu.Unlock()
	switch {
	case fault != "":
		s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", fault)
	case status == http.StatusConflict:
		s.refuse(w, status, "idempotency_conflict", "this key was used for another request")
	default:
		s.answer(w, status, answer)
	}
}

// faultOf says what is wrong with a run; s.mu is held.
func (s *Sandbox) faultOf(run Run, keyInBody string) string {
	switch {
	case run.Workflow == "":
		return "workflow is missing"
	case !slices.Contains(s.o.Workflows, run.Workflow):
		return "no workflow named " + quote(run.Workflow)
	case run.Transaction == "":
		return "params.transaction_id is missing"
	case s.transactions[run.Transaction] == nil:
		return "params.transaction_id: no transaction " + quote(run.Transaction)
	case keyInBody != "" && keyInBody != run.Key:
		return s.o.KeyHeader + " and " + s.o.KeyField + " differ"
	}
	return ""
}

// start runs, or answers as before where the key is known; s.mu is held.
func (s *Sandbox) start(run Run) (status int, answer map[string]any) {
	body, _ := json.Marshal([]any{run.Workflow, run.Params}) // it came as JSON
	if before, used := s.runs[run.Key]; used && !s.o.IgnoreKeys {
		if before.body != string(body) {
			return http.StatusConflict, nil
		}
		return http.StatusOK, map[string]any{"run_id": before.run, "status": "accepted", "replayed": true}
	}
	run.ID = s.id("run")
	if len(s.started) >= maxKept {
		delete(s.runs, s.started[0].Key)
		s.started = s.started[1:]
	}
	s.started = append(s.started, run)
	if run.Key != "" {
		s.runs[run.Key] = ranOnce{run.ID, string(body)}
	}
	s.follow(run)
	return http.StatusAccepted, map[string]any{"run_id": run.ID, "status": "accepted"}
}

// follow tells what came of a run: the automation's own event, then what it
// changed. A transaction whose acknowledgment is overdue also gets that, as if
// the partner had answered the second copy.
func (s *Sandbox) follow(run Run) {
	automation := map[string]any{
		"run_id": run.ID, "name": run.Workflow, "status": "completed",
		"idempotency_key": run.Key, "requested_by": "api:" + s.o.ClientID,
	}
	if len(s.failing) > 0 {
		f := s.failing[0]
		s.failing = s.failing[1:]
		automation["status"] = failed
		object := f.object()
		object["request_id"] = s.id("req")
		s.emit("automation.failed", run.Transaction, map[string]any{"automation": automation, "error": object})
		return
	}
	overdue := s.transactions[run.Transaction].AwaitsReceipt != ""
	s.emit("automation.completed", run.Transaction, map[string]any{"automation": automation})
	s.deliver(run.Transaction)
	if overdue {
		s.acknowledge(run.Transaction)
	}
}
