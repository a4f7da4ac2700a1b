package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"datasync-bridge/outbound"
)

const maxBody = 1 << 20

// Handler answers the API under /v1, and what tells the sandbox to act under
// /_control.
func (s *Sandbox) Handler() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("POST /v1/auth/token", s.postToken)
	api.Handle("POST /v1/webhooks/subscriptions", s.authorized(s.postSubscription))
	api.Handle("POST /v1/automations/run", s.authorized(s.postRun))
	api.Handle("GET /v1/transactions", s.authorized(s.listTransactions))
	api.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, http.StatusNotFound, "not_found", "no such address: "+r.Method+" "+r.URL.Path)
	})
	root := http.NewServeMux()
	s.control(root)
	root.Handle("/", s.faulty(api))
	return root
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

func (s *Sandbox) postToken(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if !s.read(w, r, &in) {
		return
	}
	if in.ID != s.o.ClientID || in.Secret != s.o.ClientSecret.Reveal() {
		s.refuse(w, http.StatusUnauthorized, "invalid_client", "unknown client_id or wrong client_secret")
		return
	}
	now := s.o.Clock()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: "datasync-sandbox", Subject: in.ID,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(s.o.TokenLifetime)),
	}).SignedString(s.key)
	if err != nil {
		s.refuse(w, http.StatusInternalServerError, "server_error", "the token cannot be signed")
		return
	}
	s.answer(w, http.StatusOK, map[string]any{
		"access_token": text, "token_type": "Bearer", "expires_in": int(s.o.TokenLifetime.Seconds()),
	})
}

// authorized lets through who bears a token of this sandbox that has not expired.
func (s *Sandbox) authorized(next http.HandlerFunc) http.Handler {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(s.o.Clock))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !bearer {
			s.refuse(w, http.StatusUnauthorized, "missing_token", "send Authorization: Bearer with a token of POST /auth/token")
			return
		}
		_, err := parser.Parse(text, func(*jwt.Token) (any, error) { return s.key, nil })
		switch {
		case errors.Is(err, jwt.ErrTokenExpired):
			s.refuse(w, http.StatusUnauthorized, "expired_token", "the token has expired")
		case err != nil:
			s.refuse(w, http.StatusUnauthorized, "invalid_token", "the token is not one of this Datasync")
		default:
			next(w, r)
		}
	})
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
	sub := subscription{id: s.id("sub"), name: in.Name, url: in.URL, events: in.Events}
	s.subscriptions = append(s.subscriptions, sub)
	s.mu.Unlock()
	s.answer(w, http.StatusCreated, map[string]any{"id": sub.id, "name": sub.name, "url": sub.url, "events": sub.events, "status": "active"})
}

// listTransactions filters by status, partner, document_type and the time since
// and until (RFC 3339); the parameters' names are assumed.
func (s *Sandbox) listTransactions(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var bounds [2]time.Time
	for i, name := range []string{"since", "until"} {
		if text := q.Get(name); text != "" {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", name+" must be a time such as 2026-03-10T14:00:00Z")
				return
			}
			bounds[i] = at
		}
	}
	limit := 100
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", "limit must be 1 to 1000")
			return
		}
		limit = n
	}
	fits := func(t *Transaction) bool {
		return (q.Get("status") == "" || t.Status == q.Get("status")) &&
			(q.Get("partner") == "" || t.Partner.ID == q.Get("partner")) &&
			(q.Get("document_type") == "" || t.DocumentType == q.Get("document_type")) &&
			(bounds[0].IsZero() || !t.OccurredAt.Before(bounds[0])) &&
			(bounds[1].IsZero() || t.OccurredAt.Before(bounds[1]))
	}
	list, more := []any{}, false
	s.mu.Lock()
	for _, id := range s.order {
		if t := s.transactions[id]; fits(t) {
			if more = len(list) == limit; more {
				break
			}
			list = append(list, t.data())
		}
	}
	s.mu.Unlock()
	s.answer(w, http.StatusOK, map[string]any{"transactions": list, "has_more": more})
}

// quote names what a caller sent.
func quote(text string) string { return fmt.Sprintf("%.100q", text) }
