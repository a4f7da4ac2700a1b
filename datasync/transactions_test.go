package datasync_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
)

// items is a JSON list of n transactions from number first on.
func items(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"transaction":{"id":"txn_%d","status":"failed"}}`, first+i)
	}
	return "[" + b.String() + "]"
}

func TestListingIsReadToItsEnd(t *testing.T) {
	page := func(first, n int, rest string) string { return `{"transactions":` + items(first, n) + rest + `}` }
	for _, tt := range []struct {
		name     string
		pages    []string
		items    int
		complete bool
		fails    string // part of the error
	}{
		{"nothing", []string{`{"transactions":[]}`}, 0, true, ""},
		{"nothing, spelled null", []string{`{"transactions":null}`}, 0, true, ""},
		{"an end that is marked", []string{page(0, 30, `,"has_more":false`)}, 30, true, ""},
		{"an end by a null cursor", []string{page(0, 30, `,"next_cursor":null`)}, 30, true, ""},
		{"an end by an empty cursor", []string{page(0, 30, `,"pagination":{"next_cursor":""}`)}, 30, true, ""},
		{"an end by the count", []string{page(0, 30, `,"total":30`)}, 30, true, ""},
		{"a count that is not reached", []string{page(0, 30, `,"total":31`)}, 30, false, ""},
		{"a count that contradicts the end", []string{page(0, 30, `,"total":31,"has_more":false,"next_cursor":null`)}, 30, false, ""},
		{"few and no sign of more", []string{page(0, 9, ``)}, 9, true, ""},
		{"few, but more is told", []string{page(0, 9, `,"has_more":true`)}, 9, false, ""},
		{"few, but more are counted", []string{page(0, 9, `,"total":10`)}, 9, false, ""},
		{"many and no sign at all", []string{page(0, 10, ``)}, 10, false, ""},
		{"two pages", []string{page(0, 3, `,"has_more":true,"next_cursor":"c1"`), page(3, 2, `,"has_more":false,"next_cursor":null`)}, 5, true, ""},
		{"two pages by cursor alone", []string{page(0, 3, `,"next_cursor":"c1"`), page(3, 2, `,"next_cursor":null`)}, 5, true, ""},
		{"two pages by count", []string{page(0, 12, `,"next_cursor":"c1","total":24`), page(12, 12, `,"total":24`)}, 24, true, ""},
		{"two pages that overlap, by count", []string{page(0, 12, `,"next_cursor":"c1","total":24`), page(1, 12, `,"total":24`)}, 24, false, ""},
		{"a cursor beside the end", []string{page(0, 3, `,"has_more":false,"next_cursor":"c9"`)}, 3, true, ""},
		{"a cursor that comes again", []string{
			page(0, 3, `,"next_cursor":"c1"`), page(3, 3, `,"next_cursor":"c2"`), page(6, 3, `,"next_cursor":"c1"`),
		}, 9, false, ""},
		{"a page that comes again", []string{page(0, 3, `,"next_cursor":"c1"`), page(0, 3, `,"next_cursor":"c2"`)}, 3, false, "page 2 repeats"},
		{"no end at all", slices.Repeat([]string{"turn"}, 4), 12, false, ""},
		{"a bare list", []string{items(0, 3)}, 3, true, ""},
		{"a list under data", []string{`{"data":` + items(0, 3) + `,"meta":{"has_more":false}}`}, 3, true, ""},
		{"a list further below", []string{`{"data":{"transactions":` + items(0, 3) + `,"next_cursor":null}}`}, 3, true, ""},
		{"no list", []string{`{"ok":true}`}, 0, false, "no list of transactions"},
		{"null", []string{`null`}, 0, false, "no list of transactions"},
		{"a list of other things", []string{`{"transactions":["txn_1"]}`}, 0, false, "item 1 of the list is no object"},
		{"a cursor without measure", []string{page(0, 3, `,"next_cursor":"`+strings.Repeat("c", 5000)+`"`)}, 3, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.pages {
				if tt.pages[i] == "turn" {
					tt.pages[i] = page(3*i, 3, fmt.Sprintf(`,"next_cursor":"c%d"`, i))
				}
			}
			w := pages(t, tt.pages...)
			read := 0
			l, err := w.client(datasync.Config{}, datasync.Options{}).Transactions(t.Context(), datasync.TransactionQuery{MaxPages: 4},
				func(datasync.Transaction) bool { read++; return true })
			if read != tt.items || l.Complete != tt.complete || l.Pages != len(tt.pages) || len(w.calls) != len(tt.pages) {
				t.Errorf("%d items, %+v, want %d, complete %v, %d pages", read, l, tt.items, tt.complete, len(tt.pages))
			}
			if (err != nil) != (tt.fails != "") || (err != nil && !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("error %v, want %q", err, tt.fails)
			}
		})
	}
}

// What is not read must not pass for what is not there.
func TestListingTellsThatThereIsMore(t *testing.T) {
	page := func(first, n int, rest string) string { return `{"transactions":` + items(first, n) + rest + `}` }
	for _, tt := range []struct {
		name     string
		pages    []string
		items    int
		complete bool
		fails    string // part of the error
	}{
		{"nothing", []string{`{"transactions":[]}`}, 0, true, ""},
		{"nothing, spelled null", []string{`{"transactions":null}`}, 0, true, ""},
		{"an end that is marked", []string{page(0, 30, `,"has_more":false`)}, 30, true, ""},
		{"an end by a null cursor", []string{page(0, 30, `,"next_cursor":null`)}, 30, true, ""},
		{"an end by an empty cursor", []string{page(0, 30, `,"pagination":{"next_cursor":""}`)}, 30, true, ""},
		{"an end by the count", []string{page(0, 30, `,"total":30`)}, 30, true, ""},
		{"a count that is not reached", []string{page(0, 30, `,"total":31`)}, 30, false, ""},
		{"a count that contradicts the end", []string{page(0, 30, `,"total":31,"has_more":false,"next_cursor":null`)}, 30, false, ""},
		{"few and no sign of more", []string{page(0, 9, ``)}, 9, true, ""},
		{"few, but more is told", []string{page(0, 9, `,"has_more":true`)}, 9, false, ""},
		{"few, but more are counted", []string{page(0, 9, `,"total":10`)}, 9, false, ""},
		{"many and no sign at all", []string{page(0, 10, ``)}, 10, false, ""},
		{"two pages", []string{page(0, 3, `,"has_more":true,"next_cursor":"c1"`), page(3, 2, `,"has_more":false,"next_cursor":null`)}, 5, true, ""},
		{"two pages by cursor alone", []string{page(0, 3, `,"next_cursor":"c1"`), page(3, 2, `,"next_cursor":null`)}, 5, true, ""},
		{"two pages by count", []string{page(0, 12, `,"next_cursor":"c1","total":24`), page(12, 12, `,"total":24`)}, 24, true, ""},
		{"two pages that overlap, by count", []string{page(0, 12, `,"next_cursor":"c1","total":24`), page(1, 12, `,"total":24`)}, 24, false, ""},
		{"a cursor beside the end", []string{page(0, 3, `,"has_more":false,"next_cursor":"c9"`)}, 3, true, ""},
		{"a cursor that comes again", []string{
			page(0, 3, `,"next_cursor":"c1"`), page(3, 3, `,"next_cursor":"c2"`), page(6, 3, `,"next_cursor":"c1"`),
		}, 9, false, ""},
		{"a page that comes again", []string{page(0, 3, `,"next_cursor":"c1"`), page(0, 3, `,"next_cursor":"c2"`)}, 3, false, "page 2 repeats"},
		{"no end at all", slices.Repeat([]string{"turn"}, 4), 12, false, ""},
		{"a bare list", []string{items(0, 3)}, 3, true, ""},
		{"a list under data", []string{`{"data":` + items(0, 3) + `,"meta":{"has_more":false}}`}, 3, true, ""},
		{"a list further below", []string{`{"data":{"transactions":` + items(0, 3) + `,"next_cursor":null}}`}, 3, true, ""},
		{"no list", []string{`{"ok":true}`}, 0, false, "no list of transactions"},
		{"null", []string{`null`}, 0, false, "no list of transactions"},
		{"a list of other things", []string{`{"transactions":["txn_1"]}`}, 0, false, "item 1 of the list is no object"},
		{"a cursor without measure", []string{page(0, 3, `,"next_cursor":"`+strings.Repeat("c", 5000)+`"`)}, 3, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.pages {
				if tt.pages[i] == "turn" {
					tt.pages[i] = page(3*i, 3, fmt.Sprintf(`,"next_cursor":"c%d"`, i))
				}
			}
			w := pages(t, tt.pages...)
			read := 0
			l, err := w.client(datasync.Config{}, datasync.Options{}).Transactions(t.Context(), datasync.TransactionQuery{MaxPages: 4},
				func(datasync.Transaction) bool { read++; return true })
			if read != tt.items || l.Complete != tt.complete || l.Pages != len(tt.pages) || len(w.calls) != len(tt.pages) {
				t.Errorf("%d items, %+v, want %d, complete %v, %d pages", read, l, tt.items, tt.complete, len(tt.pages))
			}
			if (err != nil) != (tt.fails != "") || (err != nil && !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("error %v, want %q", err, tt.fails)
			}
		})
	}
	for _, tt := range []struct {
		name  string
		pages []string
		more  bool
	}{
		{"an end that is marked", []string{page(0, 3, `,"has_more":false`)}, false},
		{"a short page", []string{page(0, 3, ``)}, false},
		{"more, behind a cursor of another name", []string{page(0, 3, `,"has_more":true,"next_page_token":"c1"`)}, true},
		{"more, behind a link without a cursor", []string{page(0, 3, `,"next":"/v1/transactions?page=2"`)}, true},
		{"a total above what was read", []string{page(0, 3, `,"total":9`)}, true},
		{"a full page that marks nothing", []string{page(0, 5, ``)}, true},
		{"a full page that is all there is", []string{page(0, 5, `,"total":5`)}, false},
		{"a cursor that comes again", []string{page(0, 3, `,"next_cursor":"c1"`), page(3, 3, `,"next_cursor":"c1"`)}, true},
		{"more pages than may be read", []string{page(0, 3, `,"next_cursor":"c1"`), page(3, 3, `,"next_cursor":"c2"`)}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := pages(t, tt.pages...)
			l, err := w.client(datasync.Config{Transactions: datasync.Transactions{PageSize: 5}}, datasync.Options{}).
				Transactions(t.Context(), datasync.TransactionQuery{MaxPages: 2}, func(datasync.Transaction) bool { return true })
			if err != nil || l.More != tt.more {
				t.Errorf("%+v, error %v, want more %v", l, err, tt.more)
			}
		})
	}
}

func TestListingThatIsStoppedIsNotComplete(t *testing.T) {
	w := pages(t, `{"transactions":`+items(0, 5)+`,"has_more":false}`)
	read := 0
	l, err := w.client(datasync.Config{}, datasync.Options{}).Transactions(t.Context(), datasync.TransactionQuery{},
		func(datasync.Transaction) bool { read++; return read < 5 })
	if err != nil || l.Complete || read != 5 {
		t.Errorf("%+v after %d items, error %v", l, read, err)
	}
}

// A full page of a small size shows no end, however few it holds.
func TestFewAreNoEndWhereFewWereAskedFor(t *testing.T) {
	w := pages(t, `{"transactions":`+items(0, 5)+`}`)
	cfg := datasync.Config{Transactions: datasync.Transactions{PageSize: 5}}
	l, err := w.client(cfg, datasync.Options{}).Transactions(t.Context(), datasync.TransactionQuery{}, func(datasync.Transaction) bool { return true })
	if err != nil || l.Complete {
		t.Errorf("%+v, error %v", l, err)
	}
}

func TestListingThatFailsTellsHowFarItCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: func(n int, _ *http.Request) (*http.Response, error) {
			if n == 1 {
				return reply(200, `{"transactions":`+items(0, 5)+`,"next_cursor":"c"}`, "X-Request-Id", "req_1"), nil
			}
			return reply(503, `{"request_id":"req_2"}`), nil
		}}
		l, err := w.client(datasync.Config{}, datasync.Options{}).Transactions(t.Context(), datasync.TransactionQuery{}, func(datasync.Transaction) bool { return true })
		if e := kindOf(t, err); e.Kind != datasync.Server || e.RequestID != "req_2" || l.Pages != 1 || l.Complete || l.RequestID != "req_1" {
			t.Errorf("%+v, error %+v", l, err)
		}
	})
}

func TestQueryIsNamedAsConfigured(t *testing.T) {
	q := datasync.TransactionQuery{
		Status: "failed", Partner: "par_1", DocumentType: "810",
		Since: time.Date(2026, 3, 10, 8, 0, 0, 999, time.FixedZone("", -6*3600)), Until: time.Date(2026, 3, 10, 15, 0, 0, 1, time.UTC),
	}
	for _, tt := range []struct {
		name string
		cfg  datasync.Transactions
		want url.Values
	}{
		{"by default", datasync.Transactions{}, url.Values{
			"status": {"failed"}, "partner": {"par_1"}, "document_type": {"810"}, "limit": {"100"}, "cursor": {"c 1&x"},
			"since": {"2026-03-10T14:00:00Z"}, "until": {"2026-03-10T15:00:01Z"},
		}},
		{"otherwise", datasync.Transactions{PageSize: 20, Params: map[string]string{
			"partner": "partner_id", "since": "from", "cursor": "page[after]", "limit": "page[size]",
		}}, url.Values{
			"status": {"failed"}, "partner_id": {"par_1"}, "document_type": {"810"}, "page[size]": {"20"}, "page[after]": {"c 1&x"},
			"from": {"2026-03-10T14:00:00Z"}, "until": {"2026-03-10T15:00:01Z"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := pages(t, `{"transactions":`+items(0, 1)+`,"next_cursor":"c 1&x"}`, `{"transactions":[]}`)
			if _, err := w.client(datasync.Config{Transactions: tt.cfg}, datasync.Options{}).Transactions(t.Context(), q, func(datasync.Transaction) bool { return true }); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, w.calls[1].URL.Query()); diff != "" {
				t.Error(diff)
			}
			if r := w.calls[0]; r.Method != http.MethodGet || r.URL.Path != "/v1/transactions" || r.Header.Get("Authorization") != "Bearer token-1" || r.Body != nil {
				t.Errorf("%s %s", r.Method, r.URL)
			}
		})
	}
}

// A link could lead a token to another host: its cursor is all that is used.
func TestLinksAreNotFollowed(t *testing.T) {
	for _, tt := range []struct {
		name, link string
		cursor     string // "" where there is no next call
	}{
		{"elsewhere", `"next":"https://evil.example/v1/transactions?cursor=c1"`, "c1"},
		{"relative", `"links":{"next":"/v2/other?limit=9&cursor=c%201"}`, "c 1"},
		{"as an object", `"_links":{"next":{"href":"https://api.example/v1/transactions?cursor=c1"}}`, "c1"},
		{"a cursor by itself", `"next":"c1"`, "c1"},
		{"without a cursor", `"next":"https://evil.example/v1/transactions?page=2"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := pages(t, `{"transactions":`+items(0, 2)+`,`+tt.link+`}`, `{"transactions":[],"next":null}`)
			l, err := w.client(datasync.Config{}, datasync.Options{}).Transactions(t.Context(), datasync.TransactionQuery{}, func(datasync.Transaction) bool { return true })
			if err != nil || l.Complete != (tt.cursor != "") {
				t.Fatalf("%+v, error %v", l, err)
			}
			if tt.cursor == "" {
				if len(w.calls) != 1 {
					t.Errorf("%d calls", len(w.calls))
				}
				return
			}
			if u := w.calls[1].URL; u.Host != "api.example" || u.Path != "/v1/transactions" || u.Query().Get("cursor") != tt.cursor {
				t.Errorf("went to %s, want cursor %q at home", u, tt.cursor)
			}
		})
	}
}

func TestTransactionIsReadUnderLikelyNames(t *testing.T) {
	at := time.Date(2026, 3, 10, 14, 0, 0, 0, time.UTC)
	full := datasync.Transaction{
		ID: "txn_1", Status: "failed", Direction: "outbound", DocumentType: "810", DocumentName: "invoice",
		PartnerID: "par_1", PartnerName: "Acme", Amount: "12000", Currency: "USD", Environment: event.Production,
		OccurredAt: at, ErrorCategory: "connectivity", ErrorCode: "E1", ErrorMessage: "no route",
	}
	for _, tt := range []struct {
		name, item string
		want       datasync.Transaction
	}{
		{"nested", `{"environment":"production","transaction":{"id":"txn_1","status":"failed","direction":"outbound",
			"document_type":"810","document_name":"invoice","amount":{"value":"12000.00","currency":"USD"},"occurred_at":"2026-03-10T14:00:00.000Z"},
			"partner":{"id":"par_1","name":"Acme"},"error":{"category":"connectivity","code":"E1","message":"no route"},"more":1}`, full},
		{"flat", `{"id":"txn_1","status":"failed","direction":"outbound","document_type":"810","document_name":"invoice",
			"amount":12000.00,"currency":"USD","occurred_at":"2026-03-10T08:00:00-06:00","partner":{"id":"par_1","name":"Acme"},
			"error":{"category":"connectivity","code":"E1","message":"no route"},"environment":"live"}`, full},
		{"flatter", `{"transaction_id":"txn_1","status":"failed","direction":"outbound","document_type":"810","document_name":"invoice",
			"amount":"1.2e4","currency":"USD","created_at":1773151200,"partner_id":"par_1","partner_name":"Acme",
			"error_category":"connectivity","error_code":"E1","error_message":"no route","env":"production"}`, full},
		{"an envelope's id is not the transaction's", `{"id":"evt_1","transaction":{"status":"failed"}}`, datasync.Transaction{Status: "failed"}},
		{"numbers as ids keep their digits", `{"id":90071992547409931234,"document_type":850}`, datasync.Transaction{ID: "90071992547409931234", DocumentType: "850"}},
		{"an id that is none", `{"id":"a\u0000b","status":"failed"}`, datasync.Transaction{Status: "failed"}},
		{"an amount that is none", `{"id":"t","amount":"1,250.00"}`, datasync.Transaction{ID: "t"}},
		{"another environment", `{"id":"t","environment":"Staging"}`, datasync.Transaction{ID: "t", Environment: "staging"}},
		{"the sandbox", `{"id":"t","environment":"test"}`, datasync.Transaction{ID: "t", Environment: event.Sandbox}},
		{"a time without a zone is none", `{"id":"t","occurred_at":"2026-03-10 14:00:00"}`, datasync.Transaction{ID: "t"}},
		{"hardly anything", `{}`, datasync.Transaction{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := pages(t, `{"transactions":[`+tt.item+`]}`)
			var got []datasync.Transaction
			if _, err := w.client(datasync.Config{}, datasync.Options{}).Transactions(t.Context(), datasync.TransactionQuery{},
				func(x datasync.Transaction) bool { got = append(got, x); return true }); err != nil || len(got) != 1 {
				t.Fatalf("%v, error %v", got, err)
			}
			tt.want.Raw = json.RawMessage(tt.item)
			if diff := cmp.Diff(tt.want, got[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOneTransaction(t *testing.T) {
	cfg := datasync.Config{Transactions: datasync.Transactions{One: "/transactions/{id}/state"}}
	for _, tt := range []struct {
		name, answer string
		raw          string // "" where it is an error
	}{
		{"nested", `{"transaction":{"id":"txn/1","status":"failed"}}`, `{"transaction":{"id":"txn/1","status":"failed"}}`},
		{"flat", `{"id":"txn/1","status":"failed","x":[1]}`, `{"id":"txn/1","status":"failed","x":[1]}`},
		{"under data", `{"data":{"id":"txn/1","status":"failed"}}`, `{"id":"txn/1","status":"failed"}`},
		{"another one", `{"id":"txn_2","status":"delivered"}`, ""},
		{"none", `{"status":"failed"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := pages(t, tt.answer)
			got, err := w.client(cfg, datasync.Options{}).Transaction(t.Context(), "txn/1")
			if tt.raw == "" {
				if e := kindOf(t, err); e.Kind != datasync.Unexpected {
					t.Errorf("%+v", e)
				}
				return
			}
			if err != nil || got.Status != "failed" || string(got.Raw) != tt.raw {
				t.Errorf("%+v, raw %s, error %v", got, got.Raw, err)
			}
			if at := w.calls[0].URL.EscapedPath(); at != "/v1/transactions/txn%2F1/state" {
				t.Errorf("asked %s", at)
			}
		})
	}
	t.Run("not where it is not configured", func(t *testing.T) {
		w := pages(t)
		c := w.client(datasync.Config{}, datasync.Options{})
		_, err := c.Transaction(t.Context(), "txn_1")
		if e := kindOf(t, err); c.CanReadOne() || e.Kind != datasync.Payload || e.Sent || w.tokens != 0 {
			t.Errorf("%+v", e)
		}
	})
}

func TestDecimal(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "-0.00": "0", "00012.50": "12.5", "12000.00": "12000", "+5": "5", "-5.10": "-5.1",
		".5": "0.5", "5.": "5", "1.5e3": "1500", "1E-3": "0.001", "12.34e1": "123.4", "-1e2": "-100", "0e5": "0",
		"123456789012345678901234567890.123456789": "123456789012345678901234567890.123456789",
		"0.1": "0.1", "1e40": "1" + strings.Repeat("0", 40),
		"": "", ".": "", "-": "", "e5": "", "1e": "", "1e41": "", "1e-41": "", "1e99999999999999999999": "", "1,250.00": "", "1_000": "",
		"0x10": "", "NaN": "", "Inf": "", "12 USD": "", " 1": "", "--1": "", "-+1": "", "1.2.3": "", "1e1.5": "", "１": "",
		strings.Repeat("9", 65): "",
	} {
		got, ok := datasync.Decimal(text)
		if got != want || ok != (want != "") {
			t.Errorf("Decimal(%q) = %q, %v, want %q", text, got, ok, want)
		}
		if again, _ := datasync.Decimal(got); again != got {
			t.Errorf("Decimal(%q) is %q, and that is %q", text, got, again)
		}
	}
}
