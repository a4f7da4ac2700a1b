package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// Bounds on silences that are made at run time. Whoever wants quiet for longer,
// or in more cases, writes a rule.
const (
	maxSilence       = 366 * 24 * time.Hour
	maxSilences      = 500
	maxSilenceMatch  = 4 << 10 // bytes of JSON
	maxSilenceReason = 1000    // bytes
)

// silenceBook is where silences are kept.
type silenceBook interface {
	Silences(ctx context.Context) ([]incident.Silence, error)
	Apply(ctx context.Context, p incident.Plan) error
	Now() time.Time
}

// silencerOptions are what a silencer asks of whoever decides by its silences.
type silencerOptions struct {
	// Check says what is wrong with a silence's condition, nil for nothing.
	Check func(incident.Silence) error
	// File are the silences of the configuration in force.
	File func() []incident.Silence
	// Changed is called after each change, once it is stored: it takes the
	// silences over, and looks anew at what is held. Nil where nobody decides.
	Changed func(ctx context.Context) error
	Log     *slog.Logger
}

// silencer makes and ends silences at run time. It stores each with its line of
// the record in one plan.
type silencer struct {
	book silenceBook
	o    silencerOptions
	// mu keeps two from taking one id, and one silence from ending twice.
	mu sync.Mutex
}

func newSilencer(book silenceBook, o silencerOptions) *silencer {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &silencer{book: book, o: o}
}

// silencerOfFile is for a store that no serve holds: who decides reads the
// silences when it starts.
func silencerOfFile(cfg *config.Config, book silenceBook, log *slog.Logger) *silencer {
	return newSilencer(book, silencerOptions{
		Check: func(s incident.Silence) error { return checkSilence(cfg, s) },
		File:  func() []incident.Silence { return fileSilences(cfg) }, Log: log,
	})
}

// Silences are those of the configuration, then those made at run time.
func (q *silencer) Silences(ctx context.Context) ([]incident.Silence, error) {
	stored, err := q.book.Silences(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Concat(q.o.File(), stored), nil
}

// Standing are those made at run time that hold now or will: what rules are
// given beside the configuration's own.
func (q *silencer) Standing(ctx context.Context) ([]incident.Silence, error) {
	stored, err := q.book.Silences(ctx)
	if err != nil {
		return nil, err
	}
	return standing(stored, q.book.Now()), nil
}

func standing(list []incident.Silence, now time.Time) []incident.Silence {
	return slices.DeleteFunc(slices.Clone(list), func(s incident.Silence) bool {
		return view.OfSilence(s, now).State == view.SilenceOver
	})
}

// AddSilence keeps a silence in a person's name. It begins now where its
// beginning is missing or past.
func (q *silencer) AddSilence(ctx context.Context, s incident.Silence, by string) (incident.Silence, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.book.Now().UTC().Truncate(time.Second)
	s.By, s.FromFile, s.Expired, s.Why = by, false, nil, strings.TrimSpace(s.Why)
	if s.From.Before(now) {
		s.From = now
	}
	s.From, s.Until = s.From.UTC(), s.Until.UTC()
	match, err := q.admissible(s)
	if err != nil {
		return incident.Silence{}, err
	}
	all, err := q.Silences(ctx)
	if err != nil {
		return incident.Silence{}, err
	}
	if n := len(standing(all, now)); n >= maxSilences {
		return incident.Silence{}, fmt.Errorf("%d silences stand already: expire some, or write a rule", n)
	}
	s.ID = freeID(all, now)
	err = q.keep(ctx, s, incident.Audit{
		Actor: by, Action: incident.AuditSilenced, Subject: s.ID, Why: s.Why,
		Result: fmt.Sprintf("from %s until %s: %s", s.From.Format(time.RFC3339), s.Until.Format(time.RFC3339), match),
	})
	if err != nil {
		return incident.Silence{}, err
	}
	q.o.Log.Info("silence added", "silence", s.ID, "by", by, "from", s.From, "until", s.Until)
	return s, nil
}

// admissible says what is wrong with a silence, and returns its condition as text.
func (q *silencer) admissible(s incident.Silence) (match string, err error) {
	text, err := json.Marshal(s.Match)
	switch {
	case err != nil:
		return "", fmt.Errorf("match: %w", err)
	case len(s.Match) == 0:
		return "", errors.New("match: name at least one field; a silence of everything is not made by command")
	case len(text) > maxSilenceMatch:
		return "", fmt.Errorf("match: may have %d bytes (got %d)", maxSilenceMatch, len(text))
	case s.Why == "":
		return "", errors.New("why: say why, for those who look for what they were not told")
	case len(s.Why) > maxSilenceReason:
		return "", fmt.Errorf("why: may have %d bytes (got %d)", maxSilenceReason, len(s.Why))
	case !s.Until.After(s.From):
		return "", fmt.Errorf("until: must be after its beginning, %s (got %s)", s.From.Format(time.RFC3339), s.Until.Format(time.RFC3339))
	case s.Until.Year() > 9999: // JSON has no such times, so it could not be kept
		return "", errors.New("until: is after the year 9999")
	case s.Until.Sub(s.From) > maxSilence:
		return "", fmt.Errorf("until: a silence may last %d days; write a rule for what is to be quiet longer", int(maxSilence.Hours()/24))
	}
	return string(text), q.o.Check(s)
}

// freeID is short, sorts by time and is nobody's: "sl_" and the second in
// letters and digits, or one of those after it.
func freeID(taken []incident.Silence, now time.Time) string {
	for second := now.Unix(); ; second++ {
		id := routing.RunTimeSilence + strconv.FormatInt(second, 36)
		if !slices.ContainsFunc(taken, func(s incident.Silence) bool { return s.ID == id }) {
			return id
		}
	}
}

// ExpireSilence ends a silence now: what it holds back and is still open is
// told.
func (q *silencer) ExpireSilence(ctx context.Context, id, by, why string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	all, err := q.Silences(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(s incident.Silence) bool { return s.ID == id })
	if at < 0 {
		return event.ErrNotFound
	}
	s, now := all[at], q.book.Now().UTC()
	switch {
	case s.FromFile:
		return fmt.Errorf("silence %s stands in the configuration: remove it there, and reload", id)
	case s.Expired != nil:
		return fmt.Errorf("silence %s was ended by %s at %s", id, s.Expired.By, s.Expired.At.Format(time.RFC3339))
	case !now.Before(s.Until):
		return fmt.Errorf("silence %s ended at %s", id, s.Until.Format(time.RFC3339))
	}
	s.Expired = &incident.Mark{By: by, At: now, Why: why}
	err = q.keep(ctx, s, incident.Audit{
		Actor: by, Action: incident.AuditUnsilenced, Subject: id, Why: why, Result: "would have ended at " + s.Until.Format(time.RFC3339),
	})
	if err != nil {
		return err
	}
	q.o.Log.Info("silence ended before its time", "silence", id, "by", by)
	return nil
}

// keep stores a silence and makes it known.
func (q *silencer) keep(ctx context.Context, s incident.Silence, line incident.Audit) error {
	if err := q.book.Apply(ctx, incident.Plan{Silences: []incident.Silence{s}, Audit: []incident.Audit{line}}); err != nil {
		return fmt.Errorf("keep silence %s: %w", s.ID, err)
	}
	if q.o.Changed == nil {
		return nil
	}
	if err := q.o.Changed(ctx); err != nil {
		return fmt.Errorf("silence %s is kept, but the rules do not know of it yet (a reload, or a restart, tells them): %w", s.ID, err)
	}
	return nil
}

// fileSilences are those of a configuration.
func fileSilences(cfg *config.Config) []incident.Silence {
	out := make([]incident.Silence, 0, len(cfg.Silences))
	for _, s := range cfg.Silences {
		out = append(out, incident.Silence{
			ID: s.ID, Match: s.Match, From: s.From.Time, Until: s.Until.Time, By: s.By, Why: s.Why, FromFile: true,
		})
	}
	return out
}

// checkSilence reads a silence's condition as a rule's.
func checkSilence(cfg *config.Config, s incident.Silence) error {
	var wrong []error
	for _, p := range routing.CheckSilence(cfg.Names(), s.Match) {
		if !p.Warning {
			wrong = append(wrong, fmt.Errorf("%s: %s", p.Path, p.Text))
		}
	}
	return errors.Join(wrong...)
}
