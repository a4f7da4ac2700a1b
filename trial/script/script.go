// Package script runs rule tests: files that say which events arrive when, and
// what people must see of them and what they must not.
//
// A test has a frozen clock of its own and begins with nothing open. Each *step*
// first lets time pass, so that whatever falls due is told, then does one thing:
// an event arrives, or a person does something. What a step *expects* is compared
// with what happened since the step before. Nothing is read but the files, and
// nothing is sent: what decides is package trial.
package script

import (
	"fmt"
	"path/filepath"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
	"datasync-bridge/trial"
)

// Bounds on a file, far above any test that a person reads.
const (
	maxTests  = 1000
	maxSteps  = 1000
	maxRepeat = 10000
)

// File is one file of tests.
type File struct {
	// Config is the configuration that they test, relative to the file; "" for
	// the one that the command names.
	Config string `koanf:"config"`
	// Events are bodies that steps name, as they would write them.
	Events map[string]map[string]any `koanf:"events"`
	Tests  []Test                    `koanf:"tests"`

	path   string
	places config.Places
	world  *World
}

// Test is one story.
type Test struct {
	Name string `koanf:"name"`
	// Start is the clock's first time. Default Monday 2026-01-05 09:00 UTC.
	Start event.Moment `koanf:"start"`
	Steps []Step       `koanf:"steps"`
	// Expect is about all steps together, and what is left after the last.
	Expect *Expect `koanf:"expect"`
}

// Step is a moment of a story. Without anything that happens, time passes.
type Step struct {
	// At is when: "31m" after the start, "+5m" after the step before, "22:00",
	// "Mon 08:00" or "2026-11-30 22:00" by the start's clock, or a time with a
	// zone. Default: when the step before was.
	At At `koanf:"at"`

	// Event is a body: {type: …, transaction.id: …}, keys spelled as in a match,
	// or the name of one of File.Events. EventFile names a file of JSON instead,
	// relative to the tests; Body is what arrives as it is, whether it is JSON
	// or not.
	Event     any    `koanf:"event"`
	EventFile string `koanf:"event_file"`
	Body      string `koanf:"body"`
	// With are keys that are laid over Event or EventFile.
	With map[string]any `koanf:"with"`
	// Source is who sends it; default the first of the configuration.
	Source      string            `koanf:"source"`
	Environment event.Environment `koanf:"environment"` // default the source's
	Origin      event.Origin      `koanf:"origin"`      // default webhook
	// Signed is whether a signature was verified; default as the source does.
	Signed *bool `koanf:"signed"`
	// Repeat is how many such events arrive; {n} in texts counts them from 1.
	Repeat *int `koanf:"repeat"`
	// Every is the time between them.
	Every time.Duration `koanf:"every"`

	Acknowledge *Deed    `koanf:"acknowledge"`
	Resolve     *Deed    `koanf:"resolve"`
	Silence     *Silence `koanf:"silence"`

	Expect *Expect `koanf:"expect"`

	time   time.Time
	bodies [][]byte
}

// Deed is what a person does to the one incident that fits.
type Deed struct {
	// Incident says which; nil for the only one that is open.
	Incident *Incident `koanf:"incident"`
	By       string    `koanf:"by"` // default "somebody"
	Why      string    `koanf:"why"`
}

// Silence is a silence that a person makes at run time.
type Silence struct {
	ID    string         `koanf:"id"`
	Match map[string]any `koanf:"match"`
	For   time.Duration  `koanf:"for"`
	By    string         `koanf:"by"`
	Why   string         `koanf:"why"`
}

// Expect is what must be so after a step. What is left out may be anything;
// each list that is given is complete.
type Expect struct {
	// About the step's event; of repeated ones Outcome is the last one's, the
	// rest must be so for each.
	Outcome   string         `koanf:"outcome"` // opened, joined, settled, …, duplicate
	Type      string         `koanf:"type"`
	Effect    string         `koanf:"effect"`
	Class     string         `koanf:"class"`
	Severity  event.Severity `koanf:"severity"`
	Rules     []string       `koanf:"rules"`     // that match, in file order
	Notifiers []string       `koanf:"notifiers"` // that may be told, in any order
	// Why is text that one of the decision's reasons holds.
	Why string `koanf:"why"`
	// Held is by notifier what holds it back: silence, cause, window, digest.
	Held map[string]string `koanf:"held"`

	// What was sent since the step before. Edits of messages that are there
	// already do not count, except where Messages lists one.
	Messages []Message      `koanf:"messages"`
	Sent     map[string]int `koanf:"sent"` // messages by notifier; others are not asked about
	// Pages counts what may wake somebody.
	Pages       *int  `koanf:"pages"`
	NothingSent *bool `koanf:"nothing_sent"`

	// How it stands now.
	Open      *int       `koanf:"open"`     // incidents
	Resolved  *int       `koanf:"resolved"` // incidents, since the start
	Incidents []Incident `koanf:"incidents"`
	// Runs are those that came or changed since the step before.
	Runs []Run `koanf:"runs"`

	Not *Not `koanf:"not"`
}

// Not is what must not be so, one by one.
type Not struct {
	Rules     []string  `koanf:"rules"`
	Notifiers []string  `koanf:"notifiers"`
	Messages  []Message `koanf:"messages"`
	Runs      []Run     `koanf:"runs"`
}

// Message is what is said of a message; what is left out may be anything. All of
// Text stand in it, none of Without does; * is any text.
type Message struct {
	To      string `koanf:"to"`
	Kind    string `koanf:"kind"`
	Text    Texts  `koanf:"text"`
	Without Texts  `koanf:"without"`
}

// Texts are one text or a list of them.
type Texts []string

// UnmarshalText reads the one text.
func (t *Texts) UnmarshalText(text []byte) error {
	*t = Texts{string(text)}
	return nil
}

// Incident is what is said of an incident; what is left out may be anything.
type Incident struct {
	State       string         `koanf:"state"` // open, acknowledged, resolved
	Class       string         `koanf:"class"`
	Severity    event.Severity `koanf:"severity"`
	Partner     string         `koanf:"partner"` // by id
	Environment string         `koanf:"environment"`
	Resolution  string         `koanf:"resolution"`
	// Members counts the open ones, Total all there ever were.
	Members  *int  `koanf:"members"`
	Total    *int  `koanf:"total"`
	Symptoms *int  `koanf:"symptoms"`
	Flapping *bool `koanf:"flapping"`
	// Held is by notifier what holds it back.
	Held map[string]string `koanf:"held"`
	Note string            `koanf:"note"`
}

// Run is what is said of a run; what is left out may be anything.
type Run struct {
	Remediation string `koanf:"remediation"`
	State       string `koanf:"state"`
	Transaction string `koanf:"transaction"`
	Why         string `koanf:"why"`
}

// World is what a configuration gives to its tests.
type World struct {
	// Open makes a bridge in which nothing has happened yet, anew for each test.
	Open func(start time.Time, o trial.Observer) Bridge
	// Trace says why each rule matched an event or not.
	Trace   func(event.Event) routing.Trace
	Sources []Source
	// Rules, Remediations and Notifiers are those that tests may name.
	Rules        []string
	Remediations []string
	Notifiers    map[string]incident.Notifier
	// Matches reports what is wrong with a silence's match.
	Matches func(match map[string]any, report func(path, text string))
	// Say puts a message into words, its headline first.
	Say func(incident.Delivery) string
}

// Bridge is what a test plays through: a trial, or what does as it does.
type Bridge interface {
	Post(st event.Stored) (incident.Decision, error)
	Advance(to time.Time) error
	Acknowledge(id, by, why string) error
	Resolve(id, by, why string) error
	Silence(s incident.Silence)
}

// Source is one source of the configuration.
type Source struct {
	Name        string
	Environment event.Environment
	// Signed reports that it verifies signatures.
	Signed bool
}

// Read reads the tests in a file, and refuses what cannot be run, whatever
// cannot fail, and names that the configuration does not have. open gives what
// the configuration gives that the file names, "" for none. The error is
// config.Faults, or open's.
func Read(path string, open func(config string) (*World, error)) (*File, error) {
	f := &File{path: path}
	var opening error
	_, err := config.ReadPlaced(path, f, config.Options{Placeholders: true}, func(r config.Report, places config.Places) {
		f.places = places
		name := f.Config
		if name != "" && !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		if f.world, opening = open(name); opening == nil {
			c := checker{file: f, world: f.world, report: func(path, format string, args ...any) {
				r(path, fmt.Sprintf(format, args...), false)
			}}
			c.all()
		}
	})
	if err != nil {
		return nil, err
	}
	if opening != nil {
		return nil, opening
	}
	return f, nil
}

// place is where a key stands, as faults print it.
func (f *File) place(path string) string {
	line, col := f.places(path)
	return fmt.Sprintf("%s:%d:%d", f.path, line, col)
}
