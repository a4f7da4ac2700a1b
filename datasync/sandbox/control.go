package sandbox

import (
	"net"
	"net/http"
	"strings"

	"datasync-bridge/event"
	"datasync-bridge/outbound"
)

// control lets a person drive a sandbox that runs by itself. It is no part of
// the API: it is under its own path, needs no token and answers loopback only.
// Below /_control/sandbox it drives the sandbox environment.
//
//	POST transactions   a Transaction: put it
//	POST partners       a Partner: put it
//	POST events         {"type", "transaction", "data"}: tell of it
//	POST redeliver      {"event"}: deliver it once more
//	POST webhooks       {"lose": 3, "type": "transaction.failed"}, {"delay": 2}, {"release": true}, {"duplicate": 1}, {"reorder": 4}
//	POST faults         {"path": "/v1/automations/run", "status": 503, "times": 5}: a Fault; delay is such as "2s"
//	POST down           {"down": true}: every call is answered 503; with a Fault's fields, in that way
//	POST expire-tokens  {}
//	POST heal           {}: no fault any more
//	GET  deliveries, runs, calls
//
//	curl -H 'Content-Type: application/json' localhost:8090/_control/transactions -d '{"id":"txn_1","document_type":"856"}'
func (s *Sandbox) control(mux *http.ServeMux, base string) {
	for pattern, handle := range map[string]http.HandlerFunc{
		"POST /transactions": s.postControlTransaction,
		"POST /partners":     s.postControlPartner,
		"POST /events":       s.postEvent,
		"POST /redeliver":    s.postRedeliver,
		"POST /webhooks":     s.postWebhooks,
		"POST /faults":       s.postFault,
		"POST /down":         s.postDown,
		"POST /expire-tokens": func(w http.ResponseWriter, r *http.Request) {
			if s.read(w, r, &struct{}{}) {
				s.ExpireTokens()
				s.answer(w, http.StatusOK, map[string]any{"expired": true})
			}
		},
		"POST /heal": func(w http.ResponseWriter, r *http.Request) {
			if s.read(w, r, &struct{}{}) {
				s.Heal()
				s.answer(w, http.StatusOK, map[string]any{"healed": true})
			}
		},
		"GET /deliveries": func(w http.ResponseWriter, _ *http.Request) {
			s.answer(w, http.StatusOK, map[string]any{"deliveries": s.Deliveries()})
		},
		"GET /runs": func(w http.ResponseWriter, _ *http.Request) {
			s.answer(w, http.StatusOK, map[string]any{"runs": s.Runs()})
		},
		"GET /calls": func(w http.ResponseWriter, _ *http.Request) {
			s.answer(w, http.StatusOK, map[string]any{"calls": s.Calls()})
		},
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" "+base+path, s.local(handle))
	}
}

func (s *Sandbox) postControlTransaction(w http.ResponseWriter, r *http.Request) {
	var in Transaction
	if s.read(w, r, &in) {
		s.answer(w, http.StatusCreated, map[string]any{"id": s.Put(in)})
	}
}

func (s *Sandbox) postControlPartner(w http.ResponseWriter, r *http.Request) {
	var in Partner
	if s.read(w, r, &in) {
		s.answer(w, http.StatusCreated, map[string]any{"id": s.PutPartner(in)})
	}
}

func (s *Sandbox) postRedeliver(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Event string `json:"event"`
	}
	switch {
	case !s.read(w, r, &in):
	case !s.Redeliver(in.Event):
		s.refuse(w, http.StatusNotFound, "not_found", "no event "+quote(in.Event))
	default:
		s.answer(w, http.StatusAccepted, map[string]any{"event": in.Event})
	}
}

func (s *Sandbox) postEvent(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Type        string         `json:"type"`
		Transaction string         `json:"transaction"`
		Data        map[string]any `json:"data"`
	}
	if !s.read(w, r, &in) {
		return
	}
	_, known := s.Transaction(in.Transaction)
	switch {
	case in.Type == "":
		s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", "type is missing")
	case in.Transaction != "" && !known:
		s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", "no transaction "+quote(in.Transaction))
	default:
		s.answer(w, http.StatusAccepted, map[string]any{"event": s.Tell(in.Type, in.Transaction, in.Data)})
	}
}

// told is a Fault as a person writes it.
type told struct {
	Path  string `json:"path"`
	Down  bool   `json:"down"`
	Delay string `json:"delay"` // such as 2s
	Fault
}

// readFault reads one, or answers why it cannot.
func (s *Sandbox) readFault(w http.ResponseWriter, r *http.Request) (in told, ok bool) {
	if !s.read(w, r, &in) {
		return in, false
	}
	if in.Delay != "" {
		d, err := event.ParseDuration(in.Delay)
		if err != nil || d > maxDelay {
			s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", "delay must be a duration of at most 1m, such as 2s")
			return in, false
		}
		in.Fault.Delay = d
	}
	if in.Status != 0 && (in.Status < 200 || in.Status > 599) {
		s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", "status must be 200 to 599")
		return in, false
	}
	return in, true
}

func (s *Sandbox) postFault(w http.ResponseWriter, r *http.Request) {
	in, ok := s.readFault(w, r)
	switch {
	case !ok:
	case !strings.Contains(in.Path, "/"):
		s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", "path must be one of the API, such as "+s.base+"/automations/run")
	default:
		s.FailNext(in.Path, in.Fault)
		s.answer(w, http.StatusAccepted, map[string]any{"path": in.Path})
	}
}

func (s *Sandbox) postDown(w http.ResponseWriter, r *http.Request) {
	in, ok := s.readFault(w, r)
	switch {
	case !ok:
		return
	case !in.Down || in.Fault == Fault{}:
		s.Down(in.Down)
	default:
		s.FailAll(in.Fault)
	}
	s.answer(w, http.StatusOK, map[string]any{"down": in.Down})
}

// local refuses who is not on this machine, and pages in a browser that are
// (their Host, or the JSON that read asks for, gives them away).
func (s *Sandbox) local(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, _, err := net.SplitHostPort(r.RemoteAddr)
		host := r.Host
		if h, _, herr := net.SplitHostPort(host); herr == nil {
			host = h
		}
		if err != nil || !outbound.Loopback(peer) || !outbound.Loopback(host) {
			s.refuse(w, http.StatusForbidden, "local_only", "the sandbox is driven from its own machine only")
			return
		}
		next(w, r)
	})
}
