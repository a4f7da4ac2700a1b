package datasync_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
)

func listing(t datasync.Transactions) datasync.Config { return datasync.Config{Transactions: t} }

func polled(r datasync.Reconcile) datasync.Config {
	return datasync.Config{ClientID: "i", ClientSecret: "s", Reconcile: &r}
}

func enriched(e datasync.Enrich) datasync.Config {
	return datasync.Config{ClientID: "i", ClientSecret: "s", Enrich: &e}
}

func TestConfig(t *testing.T) {
	good := datasync.Config{ClientID: "i", ClientSecret: "s"}
	for _, tt := range []struct {
		name string
		cfg  datasync.Config
		want []string
	}{
		{"nothing set is fine", datasync.Config{}, nil},
		{"credentials are fine", good, nil},
		{"loopback may be plain", datasync.Config{BaseURL: "http://127.0.0.1:8081/v1"}, nil},
		{"others may not", datasync.Config{BaseURL: "http://api.datasync.com/v1"}, []string{"base_url"}},
		{"metadata is refused", datasync.Config{BaseURL: "https://169.254.169.254/v1"}, []string{"base_url"}},
		{"no password in it", datasync.Config{BaseURL: "https://u:p@api.datasync.com/v1"}, []string{"base_url"}},
		{"no query in it", datasync.Config{BaseURL: "https://api.datasync.com/v1?x=1"}, []string{"base_url"}},
		{"all faults at once", datasync.Config{
			BaseURL: "nonsense", ClientID: "i", Idempotency: datasync.Idempotency{Header: "Authorization", Field: "params"},
		}, []string{"base_url", "client_secret", "idempotency.header", "idempotency.field"}},
		{"a secret alone", datasync.Config{ClientSecret: "s"}, []string{"client_id"}},
		{"no way out of the path", datasync.Config{BaseURL: "https://api.datasync.com/v1/../v2"}, []string{"base_url"}},
		{"no hidden way out", datasync.Config{BaseURL: "https://api.datasync.com/v1/%2e%2e/v2"}, []string{"base_url"}},

		{"the sandbox", datasync.Config{Environment: "sandbox"}, nil},
		{"a sandbox of its own", datasync.Config{Environment: "sandbox", SandboxURL: "https://sandbox.datasync.com/v1"}, nil},
		{"a sandbox on loopback", datasync.Config{SandboxURL: "http://127.0.0.1:8081/v1"}, nil},
		{"no other environment", datasync.Config{Environment: "staging"}, []string{"environment"}},
		{"no plain sandbox", datasync.Config{SandboxURL: "http://sandbox.datasync.com/v1"}, []string{"sandbox_url"}},
		{"no sandbox that is production", datasync.Config{SandboxURL: "https://api.datasync.com/v1/"}, []string{"sandbox_url"}},
		{"however it is spelled", datasync.Config{SandboxURL: "https://API.datasync.com.:443/%761"}, []string{"sandbox_url"}},
		{"no sandbox above production", datasync.Config{SandboxURL: "https://api.datasync.com"}, []string{"sandbox_url"}},

		{"parameters of other names", listing(datasync.Transactions{Params: map[string]string{"since": "filter[from]", "cursor": "page_token"}}), nil},
		{"names that change places", listing(datasync.Transactions{Params: map[string]string{"since": "until", "until": "since"}}), nil},
		{"no unknown meaning", listing(datasync.Transactions{Params: map[string]string{"from": "since2"}}), []string{"transactions.params.from"}},
		{"no doubled name", listing(datasync.Transactions{Params: map[string]string{"since": "x", "until": "x"}}), []string{"transactions.params.until"}},
		{"nor a default's", listing(datasync.Transactions{Params: map[string]string{"until": "since"}}), []string{"transactions.params.until"}},
		{"no name that is none", listing(datasync.Transactions{Params: map[string]string{"since": "", "until": "a&b"}}), []string{"transactions.params.since", "transactions.params.until"}},
		{"a path of one", listing(datasync.Transactions{One: "/transactions/{id}/state"}), nil},
		{"no path without an id", listing(datasync.Transactions{One: "/transactions"}), []string{"transactions.one"}},
		{"no path with two", listing(datasync.Transactions{One: "/transactions/{id}/{id}"}), []string{"transactions.one"}},
		{"no path to another host", listing(datasync.Transactions{One: "@evil.example/{id}"}), []string{"transactions.one"}},
		{"no path upward", listing(datasync.Transactions{One: "/../{id}"}), []string{"transactions.one"}},
		{"no path with a query", listing(datasync.Transactions{One: "/transactions?id={id}"}), []string{"transactions.one"}},
		{"no page beyond measure", listing(datasync.Transactions{PageSize: 1001}), []string{"transactions.page_size"}},
		{"no page below zero", listing(datasync.Transactions{PageSize: -1}), []string{"transactions.page_size"}},

		{"polls by default", polled(datasync.Reconcile{}), nil},
		{"polls that look back", polled(datasync.Reconcile{Start: "2d", Every: 30 * time.Second}), nil},
		{"all faults of polls", polled(datasync.Reconcile{Every: 29 * time.Second, Overlap: -1, Start: "soon", QuietAfter: -1}),
			[]string{"reconcile.every", "reconcile.overlap", "reconcile.quiet_after", "reconcile.start"}},
		{"no look ahead", polled(datasync.Reconcile{Start: "-1h"}), []string{"reconcile.start"}},
		{"no polls without credentials", datasync.Config{Reconcile: &datasync.Reconcile{}}, []string{"reconcile"}},

		{"enrichment by default", enriched(datasync.Enrich{}), nil},
		{"reminders upward", enriched(datasync.Enrich{Remind: []int{1, 7, 30}, Partners: []string{"par_1", "par_2"}}), nil},
		{"no reminder twice", enriched(datasync.Enrich{Remind: []int{30, 30, 7}}), []string{"enrich.remind"}},
		{"no reminders in disorder", enriched(datasync.Enrich{Remind: []int{7, 30, 1}}), []string{"enrich.remind"}},
		{"no reminder at the end", enriched(datasync.Enrich{Remind: []int{7, 0}}), []string{"enrich.remind"}},
		{"no partner that is none", enriched(datasync.Enrich{Partners: []string{"par_1", "..", "par_1"}}), []string{"enrich.partners[1]", "enrich.partners[2]"}},
		{"no age below a minute", enriched(datasync.Enrich{MaxAge: time.Second}), []string{"enrich.max_age"}},
		{"no enrichment without credentials", datasync.Config{Enrich: &datasync.Enrich{}}, []string{"enrich"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			tt.cfg.WithDefaults().Validate(func(path, problem string) {
				got = append(got, path)
				if strings.HasSuffix(problem, ".") || problem == "" {
					t.Errorf("%s: %q is no sentence without a full stop", path, problem)
				}
			})
			if !slices.Equal(got, tt.want) {
				t.Errorf("faults at %v, want %v", got, tt.want)
			}
		})
	}
	if d := (datasync.Config{}).WithDefaults(); d.BaseURL != datasync.DefaultBaseURL || d.Loopback() || d.Configured() {
		t.Errorf("defaults %+v", d)
	}
	if d := (datasync.Config{BaseURL: "http://[::1]:1/v1/"}).WithDefaults(); d.BaseURL != "http://[::1]:1/v1" || !d.Loopback() {
		t.Errorf("loopback %+v", d)
	}
}

func TestDefaultsShareNothing(t *testing.T) {
	given := datasync.Config{
		Transactions: datasync.Transactions{Params: map[string]string{"since": "from"}},
		Reconcile:    &datasync.Reconcile{}, Enrich: &datasync.Enrich{},
	}
	full := given.WithDefaults()
	if full.SandboxURL != datasync.DefaultBaseURL+"/sandbox" || full.Transactions.Params["since"] != "from" ||
		full.Transactions.Params["until"] != "until" || full.Transactions.PageSize != 100 {
		t.Errorf("defaults %+v", full)
	}
	if r := full.Reconcile; r.Every != 5*time.Minute || r.Overlap != 15*time.Minute || r.Start != "now" || r.QuietAfter != 30*time.Minute || r.Back() != 0 {
		t.Errorf("reconcile %+v", r)
	}
	if e := full.Enrich; e.MaxAge != 24*time.Hour || !slices.Equal(e.Remind, []int{60, 30, 14, 7, 1}) {
		t.Errorf("enrich %+v", e)
	}
	if len(given.Transactions.Params) != 1 || given.Reconcile.Every != 0 || given.Enrich.MaxAge != 0 {
		t.Errorf("what was given became %+v", given)
	}
	if back := (datasync.Reconcile{Start: "1d"}).Back(); back != 24*time.Hour {
		t.Errorf("back %v, want 24h", back)
	}
}

// A stand-in on this machine is what a client calls, not what it could.
func TestLoopbackIsOfWhatIsCalled(t *testing.T) {
	for _, tt := range []struct {
		environment event.Environment
		sandbox     string
		want        bool
	}{
		{event.Production, "http://127.0.0.1:8081/v1", false},
		{event.Sandbox, "http://127.0.0.1:8081/v1", true},
		{event.Sandbox, "", false},
	} {
		cfg := datasync.Config{Environment: tt.environment, SandboxURL: tt.sandbox}.WithDefaults()
		if cfg.Loopback() != tt.want {
			t.Errorf("%s with sandbox %q: loopback %v", tt.environment, tt.sandbox, cfg.Loopback())
		}
	}
}
