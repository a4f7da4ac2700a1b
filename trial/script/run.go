package script

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/trial"
)

// Result is how one test went.
type Result struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Name string `json:"name"`
	// Failures are in the order of the steps; none is a test that passed.
	Failures []Failure     `json:"failures,omitempty"`
	Took     time.Duration `json:"-"`
	// Told is what happened, one line each.
	Told []string `json:"told"`
}

// Failure is one expectation that does not hold.
type Failure struct {
	// Place is the expectation's: file:line:column.
	Place string `json:"place"`
	// Step says which one, in words.
	Step string `json:"step"`
	What string `json:"what"`
	Diff []Line `json:"diff,omitempty"`
	// Notes say why it came out so.
	Notes []string `json:"notes,omitempty"`
}

// Line is one line of a difference: what was wanted and is missing ("-"), what
// came and was not wanted ("+"), or what is as it should be (" ").
type Line struct {
	Mark string `json:"mark"`
	Text string `json:"text"`
}

// Run runs all tests of a file.
func (f *File) Run() []Result {
	results := make([]Result, 0, len(f.Tests))
	for i := range f.Tests {
		path := fmt.Sprintf("tests[%d]", i)
		line, _ := f.places(path)
		r := Result{File: f.path, Line: line, Name: f.Tests[i].Name, Told: []string{}}
		began := time.Now()
		story := &story{file: f, test: &f.Tests[i], path: path, result: &r, bodies: map[string][sha256.Size]byte{}, begun: map[string]int{}}
		story.run()
		r.Took = time.Since(began)
		results = append(results, r)
	}
	return results
}

// story is one test while it runs.
type story struct {
	file   *File
	test   *Test
	path   string
	result *Result
	bridge Bridge
	posted int
	// bodies are the ids that came, as the store keeps them.
	bodies map[string][sha256.Size]byte
	// since is what happened since the step before, all what happened at all.
	since, all seen
	// earlier is what was decided in the last step that had an event.
	earlier   []decided
	incidents []incident.Incident
	begun     map[string]int // index in incidents
}

// seen is what happened.
type seen struct {
	decided []decided
	sent    []incident.Delivery
	runs    []incident.Run
}

// decided is an event with its decision.
type decided struct {
	event    event.Event
	decision incident.Decision
	// known reports that it is a duplicate, of which nothing was decided.
	known bool
}

func (s *story) run() {
	at := s.path
	defer func() { // a test that makes the bridge panic has found something
		if r := recover(); r != nil {
			s.fail(at, "", Failure{What: fmt.Sprintf("it panicked: %v", r), Notes: []string{string(debug.Stack())}})
		}
	}()
	s.bridge = s.file.world.Open(s.test.Start.Time, s.observer())
	for i := range s.test.Steps {
		step := &s.test.Steps[i]
		at = fmt.Sprintf("%s.steps[%d]", s.path, i)
		s.all.add(s.since)
		if len(s.since.decided) > 0 {
			s.earlier = s.since.decided
		}
		s.since = seen{}
		name := s.name(i, step)
		s.tell(name)
		if err := s.play(step); err != nil {
			s.fail(at, name, Failure{What: err.Error()})
			return
		}
		if step.Expect != nil {
			s.compare(*step.Expect, at+".expect", name, s.since)
		}
	}
	if s.test.Expect != nil {
		s.all.add(s.since)
		s.compare(*s.test.Expect, s.path+".expect", "all steps", s.all)
	}
}

func (s *seen) add(more seen) {
	s.sent = append(s.sent, more.sent...)
	for _, r := range more.runs {
		s.ran(r)
	}
}

// ran keeps the newest state of each run.
func (s *seen) ran(r incident.Run) {
	for i := range s.runs {
		if s.runs[i].ID == r.ID && s.runs[i].Remediation == r.Remediation && s.runs[i].Transaction == r.Transaction {
			s.runs[i] = r
			return
		}
	}
	s.runs = append(s.runs, r)
}

// observer writes down what the bridge does.
func (s *story) observer() trial.Observer {
	return trial.Observer{
		Decided: func(ev event.Event, d incident.Decision) {
			s.since.decided = append(s.since.decided, decided{event: ev, decision: d})
			s.tell("  decided  " + summary(d))
		},
		Sent: func(d incident.Delivery) {
			s.since.sent = append(s.since.sent, d)
			s.tell("  sent     " + s.shown(d))
		},
		Ran: func(r incident.Run) {
			s.since.ran(r)
			s.tell("  run      " + shownRun(r))
		},
		Changed: func(inc incident.Incident) {
			i, known := s.begun[inc.ID]
			if !known {
				i = len(s.incidents)
				s.begun[inc.ID] = i
				s.incidents = append(s.incidents, incident.Incident{})
			}
			s.incidents[i] = inc
		},
	}
}

func (s *story) tell(line string) { s.result.Told = append(s.result.Told, line) }

// name says which step it is.
func (s *story) name(i int, step *Step) string {
	what := "time passes"
	switch {
	case step.Acknowledge != nil:
		what = "somebody acknowledges"
	case step.Resolve != nil:
		what = "somebody resolves"
	case step.Silence != nil:
		what = "silence " + step.Silence.ID
	case step.Event != nil:
		what = "event"
		if named, ok := step.Event.(string); ok {
			what = named
		} else if body, ok := step.Event.(map[string]any); ok {
			what = fmt.Sprint(body["type"])
		}
	case step.EventFile != "":
		what = step.EventFile
	case step.Body != "":
		what = "body"
	}
	if n := step.times(); n > 1 {
		what += fmt.Sprintf(" ×%d", n)
	}
	return fmt.Sprintf("step %d, %s: %s", i+1, step.time.In(s.test.Start.Location()).Format("Mon 2006-01-02 15:04:05 MST"), what)
}

// play lets time pass and does what the step does.
func (s *story) play(step *Step) error {
	if err := s.bridge.Advance(step.time); err != nil {
		return fmt.Errorf("let time pass: %w", err)
	}
	switch {
	case step.Acknowledge != nil:
		return s.deed(*step.Acknowledge, s.bridge.Acknowledge)
	case step.Resolve != nil:
		return s.deed(*step.Resolve, s.bridge.Resolve)
	case step.Silence != nil:
		m := step.Silence
		s.bridge.Silence(incident.Silence{
			ID: m.ID, Match: m.Match, From: step.time, Until: step.time.Add(m.For), By: cmp.Or(m.By, "somebody"), Why: m.Why,
		})
		return nil
	}
	for n, body := range step.bodies {
		if err := s.post(step, body, step.time.Add(time.Duration(n)*step.Every)); err != nil {
			return fmt.Errorf("plan the event: %w", err)
		}
	}
	return nil
}

// deed does what a person does to the one incident that fits.
func (s *story) deed(d Deed, do func(id, by, why string) error) error {
	var fits []string
	for i := range s.incidents {
		inc := &s.incidents[i]
		if inc.State == incident.Open && (d.Incident == nil || fitsIncident(*d.Incident, inc)) {
			fits = append(fits, inc.ID)
		}
	}
	if len(fits) != 1 {
		return fmt.Errorf("there are %d open incidents that fit; say with incident: {class: …, partner: …} which one is meant", len(fits))
	}
	return do(fits[0], cmp.Or(d.By, "somebody"), d.Why)
}

// post lets an event arrive, as the receiver and the store would take it: the
// id of one that is there already makes it a duplicate, or with another body a
// conflict.
func (s *story) post(step *Step, body []byte, at time.Time) error {
	source := s.file.world.Sources[0]
	if i := slices.IndexFunc(s.file.world.Sources, func(o Source) bool { return o.Name == step.Source }); i >= 0 {
		source = s.file.world.Sources[i]
	}
	s.posted++
	st := event.Stored{
		ID: fmt.Sprintf("ev_%013d", s.posted), Status: event.Accepted, State: event.Pending,
		Received: event.Received{
			Source: source.Name, Environment: cmp.Or(step.Environment, source.Environment), BodyHash: sha256.Sum256(body),
			ForeignID: idOf(body), Origin: cmp.Or(step.Origin, event.OriginWebhook), Authentic: source.Signed,
			ReceivedAt: at, Body: body,
		},
	}
	if step.Signed != nil {
		st.Authentic = *step.Signed
	}
	id := st.ForeignID
	if id == "" {
		id = string(body)
	}
	st.Key = sha256.Sum256([]byte(id))
	switch first, known := s.bodies[source.Name+" "+id]; {
	case known && first == st.BodyHash:
		s.since.decided = append(s.since.decided, decided{known: true})
		s.tell("  decided  duplicate")
		return s.bridge.Advance(at)
	case known:
		st.Status = event.Conflict
	default:
		s.bodies[source.Name+" "+id] = st.BodyHash
	}
	_, err := s.bridge.Post(st)
	return err
}

func (s *story) fail(path, step string, f Failure) {
	f.Place, f.Step = s.file.place(path), step
	s.result.Failures = append(s.result.Failures, f)
}
