package config

import (
	"slices"
	"strings"
	"testing"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/routing"
)

func TestRouting36DifferencesNameWhatNeedsARestart(t *testing.T) {
	var a, b Config
	b.Hash = "other"
	b.Rules = []routing.Rule{{}}
	b.Notifiers = []Notifier{{Name: "edi-slack"}}
	b.Sources = []receiver.Source{{Name: "other"}}
	if got := Differences(&a, &b); got != nil {
		t.Errorf("what is reloadable needs a restart: %q", got)
	}
	b.Server.Listen = ":8081"
	b.Heartbeat = &Heartbeat{}
	if got, want := Differences(&a, &b), []string{"server", "heartbeat"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// keeping puts a configuration in force after another.
func keeping(t *testing.T, running, next *Config) *Config {
	t.Helper()
	kept, err := next.Keeping(running)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestASourceThatPollingStandsInForNeedsARestart(t *testing.T) {
	named := func(name string, reconcile *datasync.Reconcile) *Config {
		c := &Config{Sources: []receiver.Source{{Name: name}}}
		c.Datasync.Reconcile = reconcile
		return c
	}
	if got := Differences(named("one", nil), named("other", nil)); got != nil {
		t.Errorf("without polling it needs a restart: %q", got)
	}
	polled := &datasync.Reconcile{}
	running, want := named("one", polled), []string{"datasync"}
	for range 2 { // a reload does not forget what the one before left
		if got := Differences(running, named("other", polled)); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		running = keeping(t, running, named("other", polled))
	}
	if got := Differences(running, named("one", polled)); got != nil {
		t.Errorf("back at the start's it needs a restart: %q", got)
	}
}

func TestAMappingOutlivesItsSource(t *testing.T) {
	mapped := func(name, alias string) *Config {
		return &Config{Sources: []receiver.Source{{Name: name, Mapping: mapping.Config{Aliases: map[string]string{"doc.broke": alias}}}}}
	}
	running := mapped("one", "first")
	for _, tt := range []struct {
		next *Config
		want map[string]string
	}{
		{mapped("one", "second"), map[string]string{"one": "second"}},
		{mapped("other", "third"), map[string]string{"one": "second", "other": "third"}},
		{mapped("last", "fourth"), map[string]string{"one": "second", "other": "third", "last": "fourth"}},
		{mapped("one", "fifth"), map[string]string{"one": "fifth", "other": "third", "last": "fourth"}},
	} {
		running = keeping(t, running, tt.next)
		got := running.Mappings()
		if len(got) != len(tt.want) {
			t.Errorf("the mappings are %v, want %v", got, tt.want)
		}
		for name, alias := range tt.want {
			if got[name].Aliases["doc.broke"] != alias {
				t.Errorf("source %s is mapped by %v, want %s", name, got[name], alias)
			}
		}
	}
}

// TestKeepingRefusesWhatContradictsTheStart: a file may move where the type is
// found to where store.redact, by which the bridge was started, still blanks it.
func TestKeepingRefusesWhatContradictsTheStart(t *testing.T) {
	running := &Config{}
	running.Store.Redact = []string{"data.kind"}
	next := &Config{Sources: []receiver.Source{{Name: "one", Environment: event.Production,
		Mapping: mapping.Config{Paths: map[string][]string{"type": {"data.kind"}}}}}}
	if _, err := next.Keeping(running); err == nil || !strings.Contains(err.Error(), "store.redact[0], as it was at the start: \"data.kind\" would blank") {
		t.Errorf("it says %v", err)
	}
}
