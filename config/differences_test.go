package config

import (
	"slices"
	"testing"

	"datasync-bridge/routing"
)

func TestRouting36DifferencesNameWhatNeedsARestart(t *testing.T) {
	var a, b Config
	b.Hash = "other"
	b.Rules = []routing.Rule{{}}
	b.Notifiers = []Notifier{{Name: "edi-slack"}}
	if got := Differences(&a, &b); got != nil {
		t.Errorf("what is reloadable needs a restart: %q", got)
	}
	b.Server.Listen = ":8081"
	b.Heartbeat = &Heartbeat{}
	if got, want := Differences(&a, &b), []string{"server", "heartbeat"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
