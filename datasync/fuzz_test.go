package datasync

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzAnswers reads whatever an address may answer as a page, a partner and a
// refusal: nothing of it may crash the bridge, be too long for a line, carry
// control characters into one, or become an id that could not be asked for.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `[]`, `{}`, `"x"`, `7`, `<html>`, "\ufeff{}",
		`[{"id":"txn_1","status":"failed","amount":{"value":"48210.55","currency":"USD"},"created_at":"2026-03-10T14:46:09Z"}]`,
		`{"transactions":[{"transaction":{"id":7},"partner":{"id":"p","name":"A\u0000B"}}],"next_cursor":"c","has_more":true,"total":3}`,
		`{"data":{"items":null},"links":{"next":{"href":"https://x/transactions?cursor=abc&limit=5"}},"total":-1}`,
		`{"data":[{}],"data":[1],"pagination":{"next_cursor":{},"total":"9e99"}}`,
		`{"partner":{"id":"..","contacts":[null,{"name":"x"}],"certificates":{"signing":{"not_after":1e999,"fingerprint":"AA:BB"}},"client_secret":"s"}}`,
		`{"id":"p","contacts":[[]],"transport":{"as2":{"certificates":[[],{"subject":"\ud800"}]}},"private_key":{"a":["-----BEGIN PRIVATE KEY-----"]}}`,
		`{"error":{"message":"no\r\nway","request_id":"r"},"message":{"a":1}}`,
		`{"items":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	} {
		f.Add(seed, "cursor")
	}
	c := &Client{cfg: Config{ClientSecret: "canary-secret"}}
	f.Fuzz(func(t *testing.T, text, param string) {
		a := newAnswer(&http.Response{StatusCode: http.StatusOK, Header: http.Header{"X-Request-Id": {text}}}, []byte(text))
		line(t, a.requestID, maxID)
		line(t, clean(a.message(), maxMessage), maxMessage)
		p := c.partner(a)
		asked(t, p.ID)
		for _, s := range []string{p.Name, p.Status, p.Contact.Name, p.Contact.Email, p.Contact.Phone, p.Contact.Hours} {
			line(t, s, maxName)
		}
		if len(p.Certificates) > maxCertificates {
			t.Fatalf("%d certificates", len(p.Certificates))
		}
		for _, one := range p.Certificates {
			line(t, one.Subject, maxMessage)
		}
		if p.Raw != nil && !json.Valid(p.Raw) {
			t.Fatalf("what may be shown is no JSON: %q", p.Raw)
		}
		list, err := readPage(a, param)
		if err != nil {
			return
		}
		if len(list.cursor) > maxCursor || list.total < -1 {
			t.Fatalf("cursor %q, total %d", list.cursor, list.total)
		}
		for _, one := range list.items {
			asked(t, one.ID)
			asked(t, one.PartnerID)
			line(t, one.Status, maxID)
			line(t, one.PartnerName, maxName)
			line(t, one.ErrorMessage, maxText)
			if _, err := json.Marshal(one); err != nil {
				t.Fatalf("a transaction cannot be written: %v", err)
			}
		}
		if cursor, end := list.next(len(list.items), 100); end && cursor != "" {
			t.Fatalf("the last page has a next one: %q", cursor)
		}
	})
}

func line(t *testing.T, s string, most int) {
	t.Helper()
	if utf8.RuneCountInString(s) > most || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		t.Fatalf("%q is not fit for a line", s)
	}
}

func asked(t *testing.T, id string) {
	t.Helper()
	if id != "" && checkID(id) != nil {
		t.Fatalf("%q is no id: %v", id, checkID(id))
	}
}
