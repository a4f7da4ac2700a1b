package datasync

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"datasync-bridge/event"
)

const (
	maxCursor = 4096 // bytes
	maxText   = 1000 // runes of an error's message
	// A page of fewer items than this, and than was asked for, with no sign of
	// more is taken for the last.
	fewItems = 10
)

// Where a page holds its list, the cursor of the next page, a link to it, and
// how many there are in all; assumed.
var (
	listPaths   = []string{"transactions", "data", "items", "results", "data.transactions", "data.items"}
	cursorPaths = []string{
		"next_cursor", "nextCursor", "pagination.next_cursor", "paging.next_cursor", "meta.next_cursor",
		"page.next_cursor", "cursor.next", "paging.cursors.after", "data.next_cursor",
	}
	linkPaths  = []string{"next", "links.next", "links.next.href", "_links.next.href", "pagination.next", "paging.next", "meta.next"}
	morePaths  = []string{"has_more", "hasMore", "pagination.has_more", "paging.has_more", "meta.has_more", "data.has_more"}
	totalPaths = []string{"total", "total_count", "pagination.total", "paging.total", "meta.total", "data.total"}
)

// page is one answer of a listing.
type page struct {
	items  []Transaction
	cursor string // of the next page, "" for none
	// last reports that the answer says that it is the last, more that it says
	// or shows that it is not.
	last, more bool
	total      int // of all pages, -1 where it is not told
}

func readPage(a answer, cursorParam string) (page, error) {
	p := page{total: -1}
	list, err := listOf(a)
	if err != nil {
		return p, err
	}
	for i, raw := range list {
		item := decodeObject(raw)
		if item == nil {
			return p, fmt.Errorf("item %d of the list is no object", i+1)
		}
		p.items = append(p.items, readItem(item, raw))
	}
	p.readEnd(a.body, cursorParam)
	return p, nil
}

// listOf returns the items of a page as they came.
func listOf(a answer) ([]json.RawMessage, error) {
	var text json.RawMessage
	if bytes.HasPrefix(bytes.TrimSpace(a.raw), []byte("[")) {
		text = a.raw
	}
	for _, path := range listPaths {
		v, there := a.body.find(path)
		if _, list := v.([]any); list || (there && v == nil) { // an empty list may be spelled null
			text = rawAt(a.raw, path)
			break
		}
	}
	var list []json.RawMessage
	if text == nil || json.Unmarshal(text, &list) != nil {
		return nil, errors.New("the answer holds no list of transactions")
	}
	return list, nil
}

// rawAt returns what stands at a path as it came, nil for nothing.
func rawAt(text json.RawMessage, path string) json.RawMessage {
	for key := range strings.SplitSeq(path, ".") {
		var o map[string]json.RawMessage
		if json.Unmarshal(text, &o) != nil {
			return nil
		}
		text = o[key]
	}
	return text
}

// readEnd reads what a page says of the next one. A link is never followed:
// its cursor is all that is used of it.
func (p *page) readEnd(o object, cursorParam string) {
	for _, path := range morePaths {
		if v, _ := o.find(path); v != nil {
			p.last, p.more = v == false, v == true
			break
		}
	}
	for _, path := range totalPaths {
		if n, err := strconv.Atoi(o.text(path)); err == nil && n >= 0 {
			p.total = n
			break
		}
	}
	if p.last {
		return
	}
	said := p.more
	for i, path := range append(append([]string{}, cursorPaths...), linkPaths...) {
		v, there := o.find(path)
		text := asText(v)
		switch {
		case !there:
			continue
		case text == "" && (v == nil || v == ""):
			p.last = !said
			continue
		case text == "":
			continue // an object: a path below it is in the list
		case i >= len(cursorPaths):
			text = cursorOf(text, cursorParam)
		}
		p.last, p.more = false, true
		if text != "" && len(text) <= maxCursor {
			p.cursor = text
			return
		}
	}
}

// cursorOf returns the cursor in a link, or the text itself where it is none.
func cursorOf(link, param string) string {
	if !strings.ContainsAny(link, "?/") {
		return link
	}
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return u.Query().Get(param)
}

// next returns the cursor of the next page, or none and whether the end is
// certain. What contradicts itself is not.
func (p page) next(read, pageSize int) (cursor string, end bool) {
	switch {
	case p.cursor != "":
		return p.cursor, false
	case p.more, p.total > read:
		return "", false
	case p.last, p.total == read:
		return "", true
	}
	return "", p.total < 0 && len(p.items) < min(fewItems, pageSize)
}

// shows reports whether a page says or shows that it is not the last.
func (p page) shows(read, pageSize int) bool {
	return p.more || p.total > read || p.total < 0 && len(p.items) >= pageSize
}

func (p page) ids() []string {
	var ids []string
	for _, t := range p.items {
		if t.ID != "" {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// fresh counts the items that were not on the page before.
func (p page) fresh(before []string) int {
	known := map[string]bool{}
	for _, id := range before {
		known[id] = true
	}
	n := 0
	for _, t := range p.items {
		if t.ID == "" || !known[t.ID] {
			n++
		}
	}
	return n
}

// readItem reads a transaction: nested as in a webhook's data, or flat.
func readItem(item object, raw json.RawMessage) Transaction {
	txn, id := item, []string{"id", "transaction_id"}
	if inner := item.object("transaction"); inner != nil {
		txn = inner
	}
	t := Transaction{
		ID:           firstOf(txn.id(id...), item.id("transaction_id")),
		Status:       txn.line(maxID, "status", "state"),
		Direction:    txn.line(maxID, "direction"),
		DocumentType: txn.line(maxID, "document_type", "document.type"),
		DocumentName: txn.line(maxID, "document_name", "document.name"),
		Currency:     txn.line(maxID, "amount.currency", "currency"),
		OccurredAt:   txn.time("occurred_at", "failed_at", "updated_at", "created_at", "timestamp"),
		Raw:          raw,
	}
	t.Amount, _ = Decimal(txn.text("amount.value", "amount"))
	either := func(limit int, paths ...string) string {
		return firstOf(item.line(limit, paths...), txn.line(limit, paths...))
	}
	t.PartnerID = firstOf(item.id("partner.id", "partner_id", "partner"), txn.id("partner.id", "partner_id", "partner"))
	t.PartnerName = either(maxName, "partner.name", "partner_name")
	t.ErrorCategory = either(maxID, "error.category", "error_category", "last_error.category")
	t.ErrorCode = either(maxID, "error.code", "error_code", "last_error.code")
	t.ErrorMessage = either(maxText, "error.message", "error_message", "last_error.message", "error")
	t.Environment = environment(either(maxID, "environment", "env"))
	return t
}

// environment spells the two in one way, and leaves any other word as it is.
func environment(word string) event.Environment {
	switch word = strings.ToLower(word); word {
	case "prod", "live":
		return event.Production
	case "test":
		return event.Sandbox
	}
	return event.Environment(word)
}
