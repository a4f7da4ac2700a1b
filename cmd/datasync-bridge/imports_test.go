package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "datasync-bridge"

// rooms says what each package may import of ours. What is not listed may
// import nothing of ours, so a new room begins by saying here whom it knows.
var rooms = map[string][]string{
	"event":                       {},
	"outbound":                    {},
	"tracing":                     {"outbound"},
	"certificate":                 {},
	"certificate/certificatetest": {"certificate"},
	"receiver":                    {"certificate", "event", "receiver/signature", "receiver/mapping"},
	"receiver/signature":          {"event"},
	"receiver/mapping":            {"event"},
	"routing":                     {"event", "routing/incident", "routing/calendar", "routing/wording"},
	"routing/calendar":            {},
	"routing/wording":             {"event"},
	"trial":                       {"event", "routing", "routing/incident"},
	"trial/script":                {"event", "routing", "routing/incident", "trial", "config"},
	"routing/incident":            {"event"},
	"dispatch":                    {"event", "routing", "routing/incident", "notifiers"},
	"notifiers":                   {"event", "routing/incident"},
	"notifiers/slack":             {"event", "routing/incident", "notifiers"},
	"notifiers/pagerduty":         {"event", "routing/incident", "notifiers"},
	"notifiers/terminal":          {"event", "routing/incident", "notifiers"},
	"notifiers/standin":           {"event", "routing/incident", "notifiers"},
	"notifiers/notifiertest":      {"event", "routing/incident", "notifiers", "notifiers/standin"},
	"store":                       {"event", "routing/incident"},
	"store/sqlite":                {"event", "routing/incident", "store"},
	"store/storetest":             {"event", "routing/incident", "store"},
	"datasync":                    {"event", "outbound", "routing/incident"},
	"datasync/profile":            {"event"},
	"datasync/sandbox":            {"event", "outbound", "datasync"},
	"datasync/reconcile":          {"event", "routing/incident", "datasync"},
	"datasync/enrich":             {"event", "routing/incident", "datasync"},
	"datasync/remediation":        {"event", "routing", "routing/incident", "routing/wording", "datasync"},
	"web":                         {"certificate", "event", "routing/incident", "web/view"},
	"web/view":                    {"event", "routing/incident"},
	"web/client":                  {"event", "routing/incident", "web/view"},
	"config":                      {"certificate", "event", "outbound", "receiver", "receiver/signature", "receiver/mapping", "routing", "routing/calendar", "routing/wording", "routing/incident", "dispatch", "notifiers", "notifiers/slack", "notifiers/pagerduty", "notifiers/terminal", "store", "datasync", "datasync/remediation", "tracing", "web"},
	"cmd/datasync-bridge":         {"*"},
	"bench":                       {"event", "config", "receiver", "notifiers/standin", "store/sqlite"},
}

// outside says which packages may know a library, so that each can be replaced
// in one place.
var outside = map[string][]string{
	"github.com/gofiber/fiber/v2":         {"receiver", "web", "bench"},
	"github.com/mattn/go-sqlite3":         {"store/sqlite"},
	"database/sql":                        {"store/sqlite"},
	"github.com/slack-go/slack":           {"notifiers/slack"},
	"github.com/PagerDuty/go-pagerduty":   {"notifiers/pagerduty"},
	"github.com/knadh/koanf/v2":           {"config"},
	"github.com/goccy/go-yaml":            {"config"},
	"github.com/expr-lang/expr":           {"routing"},
	"github.com/spf13/cobra":              {"cmd/datasync-bridge"},
	"github.com/schollz/progressbar/v3":   {"cmd/datasync-bridge"},
	"github.com/fsnotify/fsnotify":        {"cmd/datasync-bridge"},
	"github.com/invopop/jsonschema":       {}, // a test makes the schema
	"github.com/santhosh-tekuri":          {},
	"github.com/prometheus/client_golang": {"cmd/datasync-bridge", "web"},
	"go.opentelemetry.io":                 {"tracing"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestEachRoomImportsOnlyWhomItMayKnow(t *testing.T) {
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, module+"/")
		allowed, known := rooms[room]
		if !known {
			t.Errorf("package %s stands in no row of rooms", room)
			continue
		}
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
				if !slices.Contains(allowed, ours) && !slices.Contains(allowed, "*") {
					t.Errorf("%s imports %s, which it must not know", room, ours)
				}
			}
			for library, owners := range outside {
				if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(owners, room) {
					t.Errorf("%s imports %s; only %s may", room, imported, strings.Join(owners, ", "))
				}
			}
		}
	}
}

func packages(t *testing.T) []listed {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	command.Dir = path.Join("..", "..")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}
