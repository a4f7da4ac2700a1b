package remediation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"datasync-bridge/routing/incident"
)

const (
	// MaxApprovals bounds how many runs one approval may name.
	MaxApprovals = 50
	// maxRounds bounds how often a deed is tried again because something moved.
	maxRounds = 20
	maxWhy    = 500 // runes of a person's reason
)

// ErrRefused says that a person's word does not count, and the text says why.
// The refusal of an approval is recorded.
var ErrRefused = errors.New("refused")

// Records is what the desk needs of a store.
type Records interface {
	Book
	Run(ctx context.Context, id string) (incident.Run, error)
	Switches(ctx context.Context) ([]incident.Switch, error)
}

// Clerk plans what a person's deed about a run changes: the run, the line of
// the record, and what is told of it.
type Clerk interface {
	RunDeed(v incident.View, run incident.Run, deed incident.Audit, now time.Time) incident.Plan
}

// DeskOptions tune the desk. Every field has a default.
type DeskOptions struct {
	// Now is the store's clock. Default time.Now.
	Now func() time.Time
	// Config is the hash of the configuration that is in force. Default "".
	Config func() string
	// Entry is the hash in force of one remediation (see EntryHashes), "" for
	// one that is gone. Nil: Config counts for all.
	Entry func(remediation string) string
	// Names lists the remediations that can be stopped; nil: any name.
	Names func() []string
	Log   *slog.Logger // default: silent
}

// Desk is where persons decide about runs. Who they are was established by
// whoever brings their word; the desk needs but the name. It is safe for
// concurrent use, also beside workers: of two deeds that cannot both be, the
// first one stored counts.
type Desk struct {
	store Records
	clerk Clerk
	o     DeskOptions
}

// NewDesk returns a desk.
func NewDesk(store Records, clerk Clerk, o DeskOptions) *Desk {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Config == nil {
		o.Config = func() string { return "" }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Desk{store, clerk, o}
}

// Approve gives a person's approval to each of the runs. What does not count is
// an ErrRefused and recorded; the others stand. Runs about money are approved
// one by one.
func (d *Desk) Approve(ctx context.Context, ids []string, by, why string) error {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	switch {
	case len(ids) == 0:
		return fmt.Errorf("%w: no run is named", ErrRefused)
	case len(ids) > MaxApprovals:
		text := fmt.Sprintf("%d runs at once are too many; approve at most %d", len(ids), MaxApprovals)
		return d.notApproved(ctx, incident.Run{}, by, why, text)
	case len(ids) > 1:
		if err := d.oneByOne(ctx, ids, by, why); err != nil {
			return err
		}
	}
	var all []error
	for _, id := range ids {
		all = append(all, d.approveOne(ctx, id, by, why))
	}
	return errors.Join(all...)
}

// oneByOne refuses a list that has money in it: each of those is looked at
// alone.
func (d *Desk) oneByOne(ctx context.Context, ids []string, by, why string) error {
	runs := make([]incident.Run, len(ids))
	money := ""
	for i, id := range ids {
		var err error
		if runs[i], err = d.store.Run(ctx, id); err != nil {
			return fmt.Errorf("approve run %s: %w", id, err)
		}
		if runs[i].Money {
			money = id
		}
	}
	if money == "" {
		return nil
	}
	var all []error
	for _, run := range runs {
		all = append(all, d.notApproved(ctx, run, by, why, "run "+money+" is about money, which is approved one by one; approve each by itself"))
	}
	return errors.Join(all...)
}

func (d *Desk) approveOne(ctx context.Context, id, by, why string) error {
	return d.decide(ctx, id, by, why, func(run incident.Run, mark incident.Mark) (incident.Run, incident.Audit, error) {
		after, v := approve(run, mark, inForce(d.o.Entry, d.o.Config, run.Remediation))
		if v.refused != "" {
			return run, incident.Audit{}, d.notApproved(ctx, run, by, why, v.refused)
		}
		return after, incident.Audit{Action: incident.AuditApproved, Result: v.result}, nil
	})
}

// notApproved records that an approval does not count, and returns why.
func (d *Desk) notApproved(ctx context.Context, run incident.Run, by, why, text string) error {
	line := deedOf(run, by, why)
	line.Action, line.Result = incident.AuditNotApproved, text
	err := refusal(run, text)
	if run.ID == "" { // it is about a whole list
		line.Subject, err = "runs", fmt.Errorf("%w: %s", ErrRefused, text)
	}
	d.o.Log.Info("approval refused", "run", run.ID, "by", line.Actor)
	return errors.Join(err, d.store.Apply(ctx, incident.Plan{Audit: []incident.Audit{line}}))
}

// Deny refuses a run that waits for approval. Whoever may speak at the desk
// may say no.
func (d *Desk) Deny(ctx context.Context, id, by, why string) error {
	return d.end(ctx, id, by, why, incident.AuditDenied, "denied by ", incident.RunProposed, incident.RunAwaiting)
}

// StopRun refuses a run that has not started, whether it waits for a person or
// is approved already.
func (d *Desk) StopRun(ctx context.Context, id, by, why string) error {
	return d.end(ctx, id, by, why, incident.AuditStopped, "stopped by ", incident.RunProposed, incident.RunAwaiting, incident.RunQueued)
}

func (d *Desk) end(ctx context.Context, id, by, why, action, words string, from ...incident.RunState) error {
	return d.decide(ctx, id, by, why, func(run incident.Run, mark incident.Mark) (incident.Run, incident.Audit, error) {
		switch {
		case run.State == incident.RunStarted:
			return run, incident.Audit{}, refusal(run, "it has started, its call may have left")
		case !slices.Contains(from, run.State):
			return run, incident.Audit{}, refusal(run, "it is "+string(run.State)+" already")
		}
		after := refusedBy(run, words+said(mark), mark.At)
		return after, incident.Audit{Action: action, Result: string(after.State)}, nil
	})
}

// Clear settles a run of unknown outcome by the word of a person who looked in
// Datasync: done reports that it acted.
func (d *Desk) Clear(ctx context.Context, id string, done bool, by, why string) error {
	return d.decide(ctx, id, by, why, func(run incident.Run, mark incident.Mark) (incident.Run, incident.Audit, error) {
		if run.State != incident.RunUnknown {
			return run, incident.Audit{}, refusal(run, "its outcome is not unknown, it is "+string(run.State))
		}
		run.State, run.EndedAt, run.NextAt = incident.RunFailed, mark.At, time.Time{}
		if done {
			run.State = incident.RunDone
		}
		run.Why = "cleared by " + said(mark)
		return run, incident.Audit{Action: incident.AuditCleared, Result: string(run.State)}, nil
	})
}

// Stop keeps all runs (scope "") or those of one remediation from starting,
// until somebody resumes them. A call that has left is not undone.
func (d *Desk) Stop(ctx context.Context, scope, by, why string) error {
	mark, err := d.mark(by, why)
	if err != nil {
		return err
	}
	if d.o.Names != nil && scope != "" && !slices.Contains(d.o.Names(), scope) {
		return fmt.Errorf("%w: there is no remediation named %q; name none to stop all", ErrRefused, scope)
	}
	return d.turn(ctx, incident.Switch{Scope: scope, Off: true, Mark: mark}, incident.AuditStopped)
}

// Resume lifts a Stop of the same scope.
func (d *Desk) Resume(ctx context.Context, scope, by, why string) error {
	mark, err := d.mark(by, why)
	if err != nil {
		return err
	}
	switches, err := d.store.Switches(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(switches, func(s incident.Switch) bool { return s.Off && s.Scope == scope }) {
		return fmt.Errorf("%w: %s not stopped", ErrRefused, inWords(scope))
	}
	return d.turn(ctx, incident.Switch{Scope: scope, Mark: mark}, incident.AuditResumed)
}

func (d *Desk) turn(ctx context.Context, s incident.Switch, action string) error {
	subject := s.Scope
	if subject == "" {
		subject = "all"
	}
	d.o.Log.Info(action, "remediation", subject, "by", s.By, "reason", s.Why)
	return d.store.Apply(ctx, incident.Plan{
		Switches: []incident.Switch{s},
		Audit:    []incident.Audit{{Actor: s.By, Action: action, Subject: subject, Why: s.Why}},
	})
}

// Record adds a line about a person's deed that changes nothing here, such as
// an export or a call of their own.
func (d *Desk) Record(ctx context.Context, line incident.Audit) error {
	if line.Actor == "" || line.Action == "" {
		return fmt.Errorf("%w: a deed needs who and what", ErrRefused)
	}
	line.Why = trimmed(line.Why)
	return d.store.Apply(ctx, incident.Plan{Audit: []incident.Audit{line}})
}

// decide loads a run, lets judge change it, and stores the change with its
// line of the record; where something moved meanwhile, it does so anew.
func (d *Desk) decide(ctx context.Context, id, by, why string, judge func(incident.Run, incident.Mark) (incident.Run, incident.Audit, error)) error {
	for round := 1; ; round++ {
		mark, err := d.mark(by, why)
		if err != nil {
			return err
		}
		run, err := d.store.Run(ctx, id)
		if err != nil {
			return fmt.Errorf("run %s: %w", id, err)
		}
		after, line, err := judge(run, mark)
		if err != nil {
			return err
		}
		deed := deedOf(run, by, why)
		deed.Action, deed.Result = line.Action, line.Result
		var q incident.Query
		if run.Incident != "" {
			q.Incidents = []string{run.Incident}
		}
		view, err := d.store.Load(ctx, q)
		if err != nil {
			return fmt.Errorf("run %s: %w", id, err)
		}
		err = d.store.Apply(ctx, d.clerk.RunDeed(view, after, deed, mark.At))
		if err == nil {
			d.o.Log.Info(deed.Action, "run", id, "incident", run.Incident, "by", by, "result", deed.Result)
		}
		if !errors.Is(err, incident.ErrConflict) || round == maxRounds {
			return err
		}
	}
}

func (d *Desk) mark(by, why string) (incident.Mark, error) {
	if strings.TrimSpace(by) == "" {
		return incident.Mark{}, fmt.Errorf("%w: nobody is named who decides this", ErrRefused)
	}
	return incident.Mark{By: by, At: d.o.Now(), Why: trimmed(why)}, nil
}

func deedOf(run incident.Run, by, why string) incident.Audit {
	return incident.Audit{
		Actor: by, Subject: run.ID, Why: trimmed(why),
		Incident: run.Incident, Event: run.Event, Run: run.ID, Key: run.Key, RequestID: run.RequestID,
	}
}

func refusal(run incident.Run, text string) error {
	return fmt.Errorf("%w: run %s: %s", ErrRefused, run.ID, text)
}

func said(m incident.Mark) string {
	if m.Why == "" {
		return m.By
	}
	return m.By + ": " + m.Why
}

func inWords(scope string) string {
	if scope == "" {
		return "all runs together are"
	}
	return scope + " is"
}

// trimmed makes a person's reason one bounded line.
func trimmed(why string) string {
	why = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, why)), " ")
	if runes := []rune(why); len(runes) > maxWhy {
		return string(runes[:maxWhy-1]) + "…"
	}
	return why
}
