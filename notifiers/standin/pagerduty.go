package standin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// PagerDutyOptions say what the PagerDuty stand-in knows.
type PagerDutyOptions struct {
	// RoutingKeys are the services by key; every other key is refused.
	RoutingKeys map[string]string
	Faults      Faults
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

// PagerDuty takes POST /v2/enqueue and keeps alerts as the Events API v2 does.
type PagerDuty struct {
	desk
	services map[string]string
	alerts   []*Alert
	dropped  []Event
}

// AlertState is where an alert stands.
type AlertState string

// The states.
const (
	Triggered    AlertState = "triggered"
	Acknowledged AlertState = "acknowledged"
	Resolved     AlertState = "resolved"
)

// Alert is one alert. After a resolve, a trigger with its key opens another.
type Alert struct {
	Service  string
	DedupKey string
	State    AlertState
	// Payload is the newest trigger's, with what stands on top as fields.
	Summary  string
	Severity string
	Payload  json.RawMessage
	Links    json.RawMessage
	// History is every event that it took.
	History []Event
}

// Event is one accepted call.
type Event struct {
	Service  string
	DedupKey string
	Action   string
	Summary  string
	At       time.Time
}

// NewPagerDuty returns a PagerDuty without alerts.
func NewPagerDuty(o PagerDutyOptions) *PagerDuty {
	return &PagerDuty{desk: newDesk(o.Faults, o.Now), services: maps.Clone(o.RoutingKeys)}
}

// Alerts returns all alerts in the order in which they were opened.
func (p *PagerDuty) Alerts() []Alert {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Alert, 0, len(p.alerts))
	for _, a := range p.alerts {
		c := *a
		c.History = slices.Clone(a.History)
		list = append(list, c)
	}
	return list
}

// Dropped returns the acknowledges and resolves that found no open alert: the
// real one answers 202 and forgets them.
func (p *PagerDuty) Dropped() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.dropped)
}

// enqueued is the body of a call.
type enqueued struct {
	RoutingKey string          `json:"routing_key"`
	Action     string          `json:"event_action"`
	DedupKey   string          `json:"dedup_key"`
	Payload    json.RawMessage `json:"payload"`
	Links      json.RawMessage `json:"links"`
}

// ServeHTTP answers one call.
func (p *PagerDuty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.serve(w, r, func(body []byte) answer {
		switch {
		case r.URL.Path != "/v2/enqueue":
			return answer{status: http.StatusNotFound, body: "Not Found"}
		case r.Method != http.MethodPost:
			return answer{status: http.StatusMethodNotAllowed}
		case len(body) > 512<<10:
			return answer{status: http.StatusRequestEntityTooLarge, body: "Request Entity Too Large"}
		}
		return p.enqueue(body)
	}, failing)
}

func (p *PagerDuty) enqueue(body []byte) answer {
	var e enqueued
	if err := json.Unmarshal(body, &e); err != nil {
		return invalid("JSON parse error")
	}
	service, known := p.services[e.RoutingKey]
	if !known {
		return answer{status: http.StatusBadRequest, body: "Invalid routing key"} // a bare string, as the real one
	}
	trigger, faults := check(e)
	if len(faults) > 0 {
		return invalid(faults...)
	}
	if e.DedupKey == "" {
		e.DedupKey = fmt.Sprintf("standin-%d", p.seen)
	}
	p.apply(e, trigger, Event{Service: service, DedupKey: e.DedupKey, Action: e.Action, Summary: trigger.Summary, At: p.now()})
	return told(http.StatusAccepted, map[string]any{
		"status": "success", "message": "Event processed", "dedup_key": e.DedupKey,
	})
}

// apply is the rule of dedup keys: at most one open alert per service and key.
func (p *PagerDuty) apply(e enqueued, trigger triggered, ev Event) {
	i := slices.IndexFunc(p.alerts, func(a *Alert) bool {
		return a.Service == ev.Service && a.DedupKey == ev.DedupKey && a.State != Resolved
	})
	switch {
	case i < 0 && e.Action != "trigger":
		p.dropped = append(p.dropped, ev)
		return
	case i < 0:
		i = len(p.alerts)
		p.alerts = append(p.alerts, &Alert{Service: ev.Service, DedupKey: ev.DedupKey, State: Triggered})
	}
	a := p.alerts[i]
	a.History = append(a.History, ev)
	switch e.Action {
	case "trigger":
		a.Summary, a.Severity, a.Payload, a.Links = trigger.Summary, trigger.Severity, e.Payload, e.Links
	case "acknowledge":
		a.State = Acknowledged
	case "resolve":
		a.State = Resolved
	}
}

// triggered is a trigger's payload as far as it is checked.
type triggered struct {
	Summary   string          `json:"summary"`
	Source    string          `json:"source"`
	Severity  string          `json:"severity"`
	Timestamp string          `json:"timestamp"`
	Details   json.RawMessage `json:"custom_details"`
}

var iso8601 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$`)

func check(e enqueued) (t triggered, faults []string) {
	fault := func(when bool, text string) {
		if when {
			faults = append(faults, text)
		}
	}
	fault(!slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action), "'event_action' is missing or invalid")
	fault(e.Action != "trigger" && e.DedupKey == "", "'dedup_key' is missing or blank")
	fault(utf8.RuneCountInString(e.DedupKey) > 255, "'dedup_key' is too long (maximum is 255 characters)")
	if e.Action != "trigger" {
		return t, faults
	}
	if len(e.Payload) == 0 || json.Unmarshal(e.Payload, &t) != nil {
		return t, append(faults, "'payload' is missing or invalid")
	}
	fault(strings.TrimSpace(t.Summary) == "", "'payload.summary' is missing or blank")
	fault(utf8.RuneCountInString(t.Summary) > 1024, "'payload.summary' is too long (maximum is 1024 characters)")
	fault(strings.TrimSpace(t.Source) == "", "'payload.source' is missing or blank")
	fault(!slices.Contains([]string{"critical", "error", "warning", "info"}, t.Severity), "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
	fault(t.Timestamp != "" && !iso8601.MatchString(t.Timestamp), "'payload.timestamp' is not ISO 8601")
	fault(len(t.Details) > 0 && t.Details[0] != '{', "'payload.custom_details' is not an object")
	var links []struct{ Href string }
	fault(len(e.Links) > 0 && json.Unmarshal(e.Links, &links) != nil, "'links' is invalid")
	for _, l := range links {
		fault(l.Href == "", "'links.href' is missing or blank")
	}
	return t, faults
}

func invalid(errors ...string) answer {
	return told(http.StatusBadRequest, map[string]any{
		"status": "invalid event", "message": "Event object is invalid", "errors": errors,
	})
}

func told(status int, fields map[string]any) answer {
	body, err := json.Marshal(fields)
	if err != nil {
		return answer{status: http.StatusInternalServerError}
	}
	return answer{status: status, body: string(body), header: map[string]string{"Content-Type": "application/json"}}
}
