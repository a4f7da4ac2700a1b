package script

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
)

// checker finds what is wrong with a file before anything runs, and makes the
// bodies that arrive.
type checker struct {
	file   *File
	world  *World
	report func(path, format string, args ...any)
}

func (c *checker) all() {
	f := c.file
	switch {
	case len(f.Tests) == 0:
		c.report("tests", "is missing; name at least one, such as {name: …, steps: […]}")
	case len(f.Tests) > maxTests:
		c.report("tests", "are more than %d; split the file", maxTests)
		return
	}
	for name := range f.Events {
		c.body(builder{start: defaultStart, at: defaultStart, report: c.report}, map[string]any{}, f.Events[name], "events."+name)
	}
	first := map[string]bool{}
	for i := range f.Tests {
		t, at := &f.Tests[i], fmt.Sprintf("tests[%d]", i)
		switch {
		case t.Name == "":
			c.report(at+".name", "is missing; say what must be so")
		case first[t.Name]:
			c.report(at+".name", "%q is also the name of an earlier test", t.Name)
		}
		first[t.Name] = true
		c.test(t, i, at)
	}
}

func (c *checker) test(t *Test, number int, at string) {
	if t.Start.IsZero() {
		t.Start.Time = defaultStart
	}
	switch {
	case len(t.Steps) == 0:
		c.report(at+".steps", "is missing; a test needs a step, such as {event: {type: transaction.failed}, expect: {open: 1}}")
	case len(t.Steps) > maxSteps:
		c.report(at+".steps", "are more than %d; use repeat", maxSteps)
		return
	}
	last, expects := t.Start.Time, t.Expect != nil
	for i := range t.Steps {
		s, path := &t.Steps[i], fmt.Sprintf("%s.steps[%d]", at, i)
		expects = expects || s.Expect != nil
		when, err := moment(s.At.text, t.Start.Time, last)
		switch {
		case err != nil:
			c.report(path+".at", "%v", err)
			when = last
		case when.Before(last):
			c.report(path+".at", "is before the step before it (%s)", last.Format("Mon 2006-01-02 15:04:05 MST"))
			when = last
		}
		s.time = when
		c.step(s, path, fmt.Sprintf("evt_%d_%d", number+1, i+1), t.Start.Time, last)
		last = when.Add(s.lasts())
	}
	if !expects {
		c.report(at, "expects nothing, so it can never fail; say what must be so under expect")
	}
	if t.Expect != nil {
		c.expect(t.Expect, at+".expect", false)
	}
}

// lasts is how long a step's events take to arrive.
func (s *Step) lasts() time.Duration {
	return time.Duration(s.times()-1) * s.Every
}

func (s *Step) times() int {
	if s.Repeat == nil {
		return 1
	}
	return max(1, min(*s.Repeat, maxRepeat))
}

// happens reports whether an event arrives.
func (s *Step) happens() bool { return s.Event != nil || s.EventFile != "" || s.Body != "" }

func (c *checker) step(s *Step, path, id string, start, last time.Time) {
	deeds := 0
	for _, set := range []bool{s.Event != nil, s.EventFile != "", s.Body != "", s.Acknowledge != nil, s.Resolve != nil, s.Silence != nil} {
		if set {
			deeds++
		}
	}
	switch {
	case deeds > 1:
		c.report(path, "has more than one of event, event_file, body, acknowledge, resolve, silence; make a step of each")
	case deeds == 0 && s.Expect == nil:
		c.report(path, "does nothing and expects nothing")
	case deeds == 0 && s.time.Equal(last) && s.At.text == "":
		c.report(path, "lets no time pass; give it at, or put its expect into the step before")
	}
	c.arrival(s, path)
	if s.happens() && deeds == 1 {
		c.bodies(s, path, id, start)
	}
	if s.Silence != nil {
		c.silence(s.Silence, path+".silence")
	}
	for key, deed := range map[string]*Deed{"acknowledge": s.Acknowledge, "resolve": s.Resolve} {
		if deed != nil && deed.Incident != nil {
			c.incident(*deed.Incident, path+"."+key+".incident")
		}
	}
	if s.Expect != nil {
		c.expect(s.Expect, path+".expect", s.happens())
	}
}

// arrival checks what is said of how an event arrives.
func (c *checker) arrival(s *Step, path string) {
	if !s.happens() {
		for key, set := range map[string]bool{
			"with": s.With != nil, "source": s.Source != "", "environment": s.Environment != "", "origin": s.Origin != "",
			"signed": s.Signed != nil, "repeat": s.Repeat != nil, "every": s.Every != 0,
		} {
			if set {
				c.report(path+"."+key, "is about an event, and this step has none")
			}
		}
		return
	}
	names := make([]string, 0, len(c.world.Sources))
	for _, source := range c.world.Sources {
		names = append(names, source.Name)
	}
	switch {
	case s.Source != "" && !slices.Contains(names, s.Source):
		c.report(path+".source", "no source is named %q%s", s.Source, config.Suggest(s.Source, names))
	case len(names) == 0:
		c.report(path, "needs a source, and the configuration has none")
	}
	origins := []string{string(event.OriginWebhook), string(event.OriginReconcile), string(event.OriginReplay), string(event.OriginBridge)}
	c.oneOf(path+".origin", "origin", string(s.Origin), origins)
	if s.Repeat != nil && (*s.Repeat < 1 || *s.Repeat > maxRepeat) {
		c.report(path+".repeat", "must be from 1 to %d", maxRepeat)
	}
	if s.Every < 0 || s.Every > 0 && s.Repeat == nil {
		c.report(path+".every", "is the time between repeated events; give repeat beside it")
	}
	if s.With != nil && s.Body != "" {
		c.report(path+".with", "is for event and event_file; body arrives as it is")
	}
}

// bodies makes what arrives.
func (c *checker) bodies(s *Step, path, id string, start time.Time) {
	if s.Body != "" {
		for range s.times() {
			s.bodies = append(s.bodies, []byte(s.Body))
		}
		return
	}
	b := builder{start: start, at: s.time, report: c.report}
	body := map[string]any{}
	switch written := s.Event.(type) {
	case nil:
		read, err := readEvent(c.file.path, s.EventFile)
		if err != nil {
			c.report(path+".event_file", "%v", err)
			return
		}
		body = read
	case string:
		named, known := c.file.Events[written]
		if !known {
			c.report(path+".event", "no event is named %q%s", written, config.Suggest(written, slices.Sorted(maps.Keys(c.file.Events))))
			return
		}
		c.body(b, body, named, "events."+written)
	case map[string]any:
		c.body(b, body, written, path+".event")
	default:
		c.report(path+".event", "must be a body, such as {type: transaction.failed}, or the name of one of events")
		return
	}
	b.lay(body, s.With, path+".with")
	_, given := body["id"]
	for n := range s.times() {
		count := strconv.Itoa(n + 1)
		one, _ := numbered(body, count).(map[string]any)
		if !given { // each of them is another event
			one["id"] = id + "_" + count
		}
		text, err := json.Marshal(one)
		if err != nil {
			c.report(path+".event", "cannot be written as JSON: %v", err)
			return
		}
		s.bodies = append(s.bodies, text)
	}
}

// body lays a written event out, and misses its type.
func (c *checker) body(b builder, body, written map[string]any, path string) {
	b.lay(body, written, path)
	if _, typed := body["type"]; !typed {
		c.report(path+".type", "is missing; use body: for what has none")
	}
}

func (c *checker) silence(s *Silence, path string) {
	if s.ID == "" {
		c.report(path+".id", "is missing; what it holds back names it")
	}
	if s.For <= 0 {
		c.report(path+".for", "is missing; say how long, such as 2h")
	}
	if len(s.Match) == 0 {
		c.report(path+".match", "is missing; say what to keep quiet")
		return
	}
	for key := range s.Match {
		if strings.HasPrefix(key, "data.") {
			c.report(path+".match."+key, "is of the raw payload, which incidents do not keep; silences match normalized paths")
		}
	}
	c.world.Matches(s.Match, func(at, text string) { c.report(strings.TrimSuffix(path+".match."+at, "."), "%s", text) })
}

// oneOf refuses a word that is none of those there are.
func (c *checker) oneOf(path, what, word string, words []string) {
	if word != "" && !slices.Contains(words, word) {
		c.report(path, "%q is no %s%s", word, what, config.Suggest(word, words))
	}
}
