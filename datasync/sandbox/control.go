package sandbox

import (
	"net"
	"net/http"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/outbound"
)

// control lets a person drive a sandbox that runs by itself. It is no part of
// the API: it is under its own path, needs no token and answers loopback only.
//
//	curl -H 'Content-Type: application/json' localhost:8081/_control/transactions -d '{"id":"txn_1","document_type":"856"}'
//	curl -H 'Content-Type: application/json' localhost:8081/_control/events -d '{"type":"transaction.failed","transaction":"txn_1"}'
//	curl -H 'Content-Type: application/json' localhost:8081/_control/faults -d '{"path":"/v1/automations/run","status":503}'
func (s *Sandbox) control(mux *http.ServeMux) {
	mux.Handle("POST /_control/transactions", s.local(func(w http.ResponseWriter, r *http.Request) {
		var in Transaction
		if s.read(w, r, &in) {
			s.answer(w, http.StatusCreated, map[string]any{"id": s.Put(in)})
		}
	}))
	mux.Handle("POST /_control/events", s.local(s.postEvent))
	mux.Handle("POST /_control/faults", s.local(s.postFault))
	mux.Handle("POST /_control/redeliver", s.local(func(w http.ResponseWriter, r *http.Request) {
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
	}))
	mux.Handle("GET /_control/deliveries", s.local(func(w http.ResponseWriter, _ *http.Request) {
		s.answer(w, http.StatusOK, map[string]any{"deliveries": s.Deliveries()})
	}))
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

func (s *Sandbox) postFault(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Path  string `json:"path"`
		Delay string `json:"delay"` // such as 2s
		Times int    `json:"times"` // default 1
		Fault
	}
	if !s.read(w, r, &in) {
		return
	}
	if in.Delay != "" {
		d, err := event.ParseDuration(in.Delay)
		if err != nil || d > time.Minute {
			s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", "delay must be a duration of at most 1m, such as 2s")
			return
		}
		in.Fault.Delay = d
	}
	for range max(1, min(in.Times, 1000)) {
		s.FailNext(in.Path, in.Fault)
	}
	s.answer(w, http.StatusAccepted, map[string]any{"path": in.Path})
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
