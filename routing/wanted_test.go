package routing_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"datasync-bridge/event"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
)

func TestWantedAreTheTypesThatTheRulesUseAndWhatEndsThem(t *testing.T) {
	effects := map[string]event.Effect{
		"transaction.failed": event.Open, "mdn.timeout": event.Open, "sla.warning": event.Open, "sla.violated": event.Open,
		"partner.noticed": event.Note, "transaction.delivered": event.Settle, "webhook.test": event.None,
		"transaction.cleared": event.Settle, "bridge.webhooks_quiet": event.Open, "bridge.webhooks_resumed": event.Settle,
	}
	match := func(match routing.Match) routing.Rule { return routing.Rule{Name: "r", Match: match} }
	all := "mdn.timeout partner.noticed sla.violated sla.warning transaction.delivered transaction.failed"
	for _, tt := range []struct {
		name     string
		rules    []routing.Rule
		retrying bool
		want     string
	}{
		{"a type, with its recovery", []routing.Rule{match(routing.Match{"type": "mdn.timeout"})}, false, "mdn.timeout transaction.delivered"},
		{"a list and a pattern", []routing.Rule{match(routing.Match{"type": []any{"mdn.timeout", "sla.*"}})}, false,
			"mdn.timeout sla.violated sla.warning transaction.delivered"},
		{"an alias by its canonical name", []routing.Rule{match(routing.Match{"type": "sla.missed"})}, false, "sla.violated transaction.delivered"},
		{"what the mapping does not know", []routing.Rule{match(routing.Match{"type": "order.lost"})}, false, "order.lost transaction.delivered"},
		{"an operator, tried on what is known", []routing.Rule{match(routing.Match{"type": map[string]any{"regex": "sla[.].*"}})}, false,
			"sla.violated sla.warning transaction.delivered"},
		{"an empty match wants all that opens", []routing.Rule{match(routing.Match{"type": "mdn.timeout"}), match(nil)}, false, all},
		{"so does one by another field", []routing.Rule{match(routing.Match{event.DocumentType: "856"})}, false, all},
		{"no rule leaves all to the defaults", nil, false, all},
		{"what is dropped need not come", []routing.Rule{
			match(routing.Match{"type": "mdn.timeout"}), {Name: "d", Match: routing.Match{"type": "sla.*"}, Drop: true, Why: "not ours"},
		}, false, "mdn.timeout transaction.delivered"},
		{"retries, where they can alarm", []routing.Rule{match(routing.Match{"type": "mdn.timeout"})}, true,
			"mdn.timeout transaction.delivered transaction.retrying"},
		{"never the bridge's own", []routing.Rule{match(routing.Match{"type": "bridge.*"})}, false, "transaction.delivered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.rules {
				tt.rules[i].Name += strconv.Itoa(i)
			}
			cfg := routing.Config{Rules: tt.rules, Defaults: routing.Defaults{Notify: []string{"slack"}}}
			if tt.retrying {
				cfg.Defaults.RetryingAlert = &routing.RetryingAlert{Attempts: 3}
			}
			table, problems := routing.Compile(cfg.WithDefaults(), routing.Names{
				Notifiers: map[string]incident.Notifier{"slack": {Name: "slack"}}, Aliases: map[string]string{"sla.missed": "sla.violated"},
			})
			if table == nil {
				t.Fatalf("problems %+v", problems)
			}
			if got := table.Wanted(effects); !slices.Equal(got, strings.Fields(tt.want)) {
				t.Errorf("wanted %v\nwant   %v", got, strings.Fields(tt.want))
			}
		})
	}
}
