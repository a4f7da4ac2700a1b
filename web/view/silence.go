package view

import (
	"time"

	"datasync-bridge/routing/incident"
)

// Silence keeps what matches from being told for a while.
type Silence struct {
	ID    string         `json:"id"`
	State string         `json:"state"`
	Match map[string]any `json:"match"`
	From  time.Time      `json:"from"`
	Until time.Time      `json:"until"`
	By    string         `json:"by,omitempty"`
	Why   string         `json:"why,omitempty"`
	// FromFile reports that it stands in the configuration.
	FromFile bool `json:"from_file"`
	// Expired is who ended it before its time.
	Expired *Mark `json:"expired,omitempty"`
}

// NewSilence is a silence as somebody asks for it. From is now where it is
// zero; the end is Until, or For after From, in the spelling of durations ("2h").
type NewSilence struct {
	Match map[string]any `json:"match"`
	From  time.Time      `json:"from,omitzero"`
	Until time.Time      `json:"until,omitzero"`
	For   string         `json:"for,omitempty"`
	Why   string         `json:"why"`
}

// The states of a silence.
const (
	SilenceActive = "active"
	SilenceFuture = "future"
	SilenceOver   = "over"
)

// OfSilence gives the form of a silence at a time.
func OfSilence(s incident.Silence, now time.Time) Silence {
	v := Silence{
		ID: s.ID, Match: s.Match, From: s.From.UTC(), Until: s.Until.UTC(), By: s.By, Why: s.Why, FromFile: s.FromFile,
		State: SilenceActive,
	}
	if s.Expired != nil {
		v.Expired = &Mark{s.Expired.By, s.Expired.At.UTC(), s.Expired.Why}
	}
	switch {
	case s.Expired != nil, !now.Before(s.Until):
		v.State = SilenceOver
	case now.Before(s.From):
		v.State = SilenceFuture
	}
	return v
}
