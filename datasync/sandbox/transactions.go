package sandbox

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// listing is what GET /transactions was asked for.
type listing struct {
	status, partner, documentType string
	since, until                  time.Time // zero is open
	limit                         int
	after                         int // the place of the last one that was listed
}

// listTransactions filters by status, partner, document_type and the time since
// and until (RFC 3339, of the last change), page by page: limit and cursor. The
// parameters' names and the answer's form are assumed.
//
//	{"transactions": [ITEM, …], "has_more": true, "next_cursor": "…"}
//
// An item is what an event of the transaction has as its data, with its
// environment and, while it fails, the last error. The cursor is null at the end.
func (s *Sandbox) listTransactions(w http.ResponseWriter, r *http.Request) {
	q, fault := readListing(r.URL.Query())
	if fault != "" {
		s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", fault)
		return
	}
	list, more, last := []any{}, false, 0
	s.mu.Lock()
	for _, id := range s.order {
		if t := s.transactions[id]; q.fits(t) {
			if more = len(list) == q.limit; more {
				break
			}
			list, last = append(list, s.item(t)), t.place
		}
	}
	if q.status == failed && !more {
		s.listed++
		s.poke()
	}
	s.mu.Unlock()
	var next any
	if more {
		next = cursor(last)
	}
	s.answer(w, http.StatusOK, map[string]any{"transactions": list, "has_more": more, "next_cursor": next})
}

// getTransaction answers a single item. That it can be read is assumed.
func (s *Sandbox) getTransaction(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	t := s.transactions[id]
	var item map[string]any
	if t != nil {
		item = s.item(t)
	}
	s.mu.Unlock()
	switch {
	case s.o.WithoutReadOne:
		s.refuse(w, http.StatusNotFound, "not_found", "no such address: this Datasync lists transactions only")
	case item == nil:
		s.refuse(w, http.StatusNotFound, "not_found", "no transaction "+quote(id))
	default:
		s.answer(w, http.StatusOK, item)
	}
}

func readListing(q url.Values) (l listing, fault string) {
	l = listing{status: q.Get("status"), partner: q.Get("partner"), documentType: q.Get("document_type"), limit: defaultPage}
	for name, bound := range map[string]*time.Time{"since": &l.since, "until": &l.until} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return l, name + " must be a time such as 2026-03-10T14:00:00Z"
		}
		*bound = at
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return l, fmt.Sprintf("limit must be 1 to %d", maxPage)
		}
		l.limit = n
	}
	if text := q.Get("cursor"); text != "" {
		place, known := placeOf(text)
		if !known {
			return l, "cursor must be the next_cursor of an earlier page"
		}
		l.after = place
	}
	return l, ""
}

func (l listing) fits(t *Transaction) bool {
	return t.place > l.after &&
		(l.status == "" || t.Status == l.status) &&
		(l.partner == "" || t.Partner.ID == l.partner) &&
		(l.documentType == "" || t.DocumentType == l.documentType) &&
		(l.since.IsZero() || !t.OccurredAt.Before(l.since)) &&
		(l.until.IsZero() || t.OccurredAt.Before(l.until))
}

// item is a transaction as it is listed; s.mu is held.
func (s *Sandbox) item(t *Transaction) map[string]any {
	item := t.data()
	item["environment"] = s.o.Environment
	if (t.Status == failed || t.Status == retrying) && t.Failure != (Failure{}) {
		item["error"] = t.Failure.object()
	}
	return item
}

// cursor says where a page ended, in a form that invites nobody to count.
func cursor(place int) string {
	return base64.RawURLEncoding.EncodeToString([]byte("after:" + strconv.Itoa(place)))
}

func placeOf(cursor string) (place int, known bool) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	number, ours := strings.CutPrefix(string(text), "after:")
	place, bad := strconv.Atoi(number)
	return place, err == nil && ours && bad == nil
}
