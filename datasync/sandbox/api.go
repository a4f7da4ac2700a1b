package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
		"strings"

	"datasync-bridge/outbound"
)

const maxBody = 1 << 20

// maxSubscriptions bounds those of one world.
const maxSubscriptions = 100

// Handler answers the API of both worlds, under /v1 and /v1/sandbox, and what
// tells them to act under /_control and /_control/sandbox.
func (s *Sandbox) Handler() http.Handler {
	root := http.NewServeMux()
	root.Handle("/", s.faulty(s.routes()))
	s.control(root, "/_control")
	if s.inner != nil {
		root.Handle(s.inner.base+"/", s.inner.faulty(s.inner.routes()))
		s.inner.control(root, "/_control/sandbox")
	}
	return root
}

func (s *Sandbox) routes() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("POST "+s.base+"/auth/token", s.postToken)
	for pattern, one := range map[string]struct {
		scope  string
		handle http.HandlerFunc
	}{
		"POST /partners":               {ScopePartnersWrite, s.postPartner},
		"GET /partners/{id}":           {ScopePartnersRead, s.getPartner},
		"POST /webhooks/subscriptions": {ScopeWebhooks, s.postSubscription},
		"POST /automations/run":        {ScopeAutomations, s.postRun},
		"GET /transactions":            {ScopeTransactions, s.listTransactions},
		"GET /transactions/{id}":       {ScopeTransactions, s.getTransaction},
	} {
		method, path, _ := strings.Cut(pattern, " ")
		api.Handle(method+" "+s.base+path, s.authorized(one.scope, one.handle))
	}
	api.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, http.StatusNotFound, "not_found", "no such address: "+r.Method+" "+quote(r.URL.Path))
	})
	return api
}

// answer writes a body with a request_id in the header; errors carry it in the
// body too, as documented.
func (s *Sandbox) answer(w http.ResponseWriter, status int, body map[string]any) {
	id := s.requestID(w)
	if status >= 400 {
		body["request_id"] = id
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody to tell
}

func (s *Sandbox) refuse(w http.ResponseWriter, status int, code, message string) {
	s.answer(w, status, map[string]any{"error": map[string]any{"code": code, "message": message}})
}

func (s *Sandbox) requestID(w http.ResponseWriter) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.id("req")
	w.Header().Set("X-Request-Id", id)
	return id
}

// read decodes a JSON body, or answers why it cannot.
func (s *Sandbox) read(w http.ResponseWriter, r *http.Request, into any) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		s.refuse(w, http.StatusUnsupportedMediaType, "not_json", "send a JSON body with Content-Type: application/json")
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		err = d.Decode(into)
	}
	if err != nil {
		s.refuse(w, http.StatusBadRequest, "invalid_payload", "the body is no JSON of the expected form: "+err.Error())
		return false
	}
	return true
}

func (s *Sandbox) postSubscription(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Name   string   `json:"name"`
		URL    string   `json:"url"`
		Events []string `json:"events"`
	}
	if !s.read(w, r, &in) {
		return
	}
	u, err := url.Parse(in.URL)
	var fault string
	switch {
	case in.Name == "":
		fault = "name is missing"
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		fault = "url must be an http or https URL"
	case !outbound.Loopback(u.Hostname()):
		fault = "this sandbox delivers to loopback only, such as http://127.0.0.1:8080/hooks/datasync"
	case len(in.Events) == 0 || slices.Contains(in.Events, ""):
		fault = "events must name at least one type, and no empty one"
	}
	if fault != "" {
		s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", fault)
		return
	}
	s.mu.Lock()
	full := len(s.subscriptions) >= maxSubscriptions
	var sub subscription
	if !full {
		sub = subscription{id: s.id("sub"), name: in.Name, url: in.URL, events: in.Events}
		s.subscriptions = append(s.subscriptions, sub)
		s.poke()
	}
	s.mu.Unlock()
	if full {
		s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", fmt.Sprintf("this sandbox keeps %d subscriptions at most", maxSubscriptions))
		return
	}
	s.answer(w, http.StatusCreated, map[string]any{"id": sub.id, "name": sub.name, "url": sub.url, "events": sub.events, "status": "active"})
}

// quote names what a caller sent.
func quote(text string) string { return fmt.Sprintf("%.100q", text) }
