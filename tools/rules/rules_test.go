// Package rules holds the alert rules of docs/monitoring against Prometheus
// itself. It is a module of its own, so that Prometheus' dependencies never
// touch the product's.
package rules

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

const folder = "../../docs/monitoring/"

// Each alert, with series (a sample a minute) on which it must fire after twelve
// hours, and such on which it must not.
var cases = map[string]struct{ fires, rests string }{
	"BridgeDown":          {`up{job="datasync-bridge"} 0x720`, `up{job="datasync-bridge"} 1x720`},
	"BridgeStoreNotReady": {`bridge_store_ready 0x720`, `bridge_store_ready 1x720`},
	"BridgeStoreFull":     {`bridge_store_full{bound="max_size"} 1x720`, `bridge_store_full{bound="max_size"} 0x720`},
	"BridgeRefusesSignatures": {"bridge_requests_total{source=\"d\",code=\"signature_mismatch\"} 0+60x720\nbridge_requests_total{source=\"d\",code=\"accepted\"} 0+1x720",
		"bridge_requests_total{source=\"d\",code=\"signature_mismatch\"} 0+60x720\nbridge_requests_total{source=\"d\",code=\"accepted\"} 0+600x720"},
	"BridgeHearsNothing":   {`bridge_requests_total{source="d",code="accepted"} 7x720`, `bridge_requests_total{source="d",code="accepted"} 0+0.1x720`},
	"BridgeRefusesBusily":  {`bridge_requests_total{source="d",code="busy"} 0+120x720`, `bridge_requests_total{source="d",code="busy"} 5x720`},
	"BridgePlansLate":      {`bridge_events_pending_age_seconds 300x720`, `bridge_events_pending_age_seconds 2x720`},
	"BridgeEventParked":    {`bridge_events_parked 1x720`, `bridge_events_parked 0x720`},
	"BridgeDeliveriesDead": {`bridge_deliveries_dead{notifier="s"} 0x715 3x5`, `bridge_deliveries_dead{notifier="s"} 3x720`},
	"BridgeDeliveriesWait": {`bridge_deliveries_waiting_age_seconds{notifier="s"} 900x720`, `bridge_deliveries_waiting_age_seconds{notifier="s"} 30x720`},
	"BridgeReloadRefused":  {`bridge_config_last_reload_successful 0x720`, `bridge_config_last_reload_successful 1x720`},
	"BridgeConditionFails": {`bridge_rule_conditions_failed_total 0x700 0+1x20`, `bridge_rule_conditions_failed_total 4x720`},
	"BridgeDatasyncDown":   {`bridge_datasync_up 0x720`, `bridge_datasync_up 1x720`},
	"BridgeWebhooksAreLost": {"bridge_missed_by_webhook_total 0+1x720\nbridge_webhooks_late_total 0x720",
		"bridge_missed_by_webhook_total 0+1x720\nbridge_webhooks_late_total 0+1x720"},
	"BridgeRunUnclear":        {`bridge_runs_unknown 1x720`, `bridge_runs_unknown 0x720`},
	"BridgeRunAwaitsApproval": {`bridge_runs_awaiting 2x720`, `bridge_runs_awaiting 0x720`},
}

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile(folder + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() || len(groups.Groups) != 1 {
		t.Fatal("the rules cannot be read")
	}
	return groups.Groups[0].Rules
}

func TestEveryAlertFiresWhenItShouldAndRestsOtherwise(t *testing.T) {
	seen := map[string]bool{}
	for _, rule := range alerts(t) {
		seen[rule.Alert] = true
		c, ok := cases[rule.Alert]
		if !ok {
			t.Errorf("%s has no case", rule.Alert)
			continue
		}
		if fires(t, rule.Expr, c.fires) == 0 {
			t.Errorf("%s does not fire on\n%s", rule.Alert, c.fires)
		}
		if fires(t, rule.Expr, c.rests) > 0 {
			t.Errorf("%s fires on\n%s", rule.Alert, c.rests)
		}
		if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s lacks its severity, summary or description", rule.Alert)
		}
	}
	if len(seen) != len(cases) {
		t.Errorf("%d alerts, %d cases", len(seen), len(cases))
	}
}

// fires is how many alerts a rule would give twelve hours in.
func fires(t *testing.T, expr, series string) int {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n  "+strings.ReplaceAll(series, "\n", "\n  ")+"\n")
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	query, err := engine.NewInstantQuery(context.Background(), storage, nil, expr, time.Unix(0, 0).Add(12*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	result := query.Exec(context.Background())
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	vector, ok := result.Value.(promql.Vector)
	if !ok {
		t.Fatalf("%s gives a %T", expr, result.Value)
	}
	return len(vector)
}

func TestTheDashboardsQueriesCanBeParsed(t *testing.T) {
	text, err := os.ReadFile(folder + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	ids, queries := map[int]bool{}, 0
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			queries++
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(target.Expr); err != nil {
				t.Errorf("%s: %v", p.Title, err)
			}
		}
	}
	if queries < 15 {
		t.Errorf("only %d queries", queries)
	}
}
