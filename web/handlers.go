package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// Bounds on what one answer lists.
const (
	defaultLimit = 50
	maxLimit     = 1000
	maxWhy       = 1000
)

func (s *Server) status(c *fiber.Ctx) error {
	return one(c, func(ctx context.Context, _ string) (view.Status, error) { return s.deps.Status(ctx) })
}

func (s *Server) events(c *fiber.Ctx) error {
	return list(c, view.EventStates, s.deps.Reader.Events, view.OfEvent, func(e view.Event) string { return e.ID })
}

func (s *Server) event(c *fiber.Ctx) error {
	return one(c, func(ctx context.Context, id string) (view.Event, error) {
		e, err := s.deps.Reader.Event(ctx, id)
		return view.OfEventInFull(e), err
	})
}

func (s *Server) incidents(c *fiber.Ctx) error {
	return list(c, view.IncidentStates, s.deps.Reader.Incidents, view.OfIncident, func(i view.Incident) string { return i.ID })
}

// incident answers with all that belongs to one incident.
func (s *Server) incident(c *fiber.Ctx) error {
	return one(c, func(ctx context.Context, id string) (view.Incident, error) {
		r := s.deps.Reader
		i, err := r.Incident(ctx, id)
		if err != nil {
			return view.Incident{}, err
		}
		members, err1 := r.Members(ctx, id, maxLimit)
		timeline, err2 := r.Timeline(ctx, id, maxLimit)
		deliveries, err3 := r.Deliveries(ctx, incident.Filter{Incident: id, Limit: maxLimit})
		runs, err4 := r.Runs(ctx, incident.Filter{Incident: id, Limit: maxLimit})
		v := view.OfIncident(i)
		v.Members = view.Each(members, view.OfMember)
		v.Timeline = view.Each(timeline, view.OfEntry)
		v.Deliveries = view.Each(deliveries, view.OfDelivery)
		v.Runs = view.Each(runs, view.OfRun)
		return v, errors.Join(err1, err2, err3, err4)
	})
}

func (s *Server) deliveries(c *fiber.Ctx) error {
	return list(c, view.DeliveryStates, s.deps.Reader.Deliveries, view.OfDelivery, func(d view.Delivery) string { return d.ID })
}

func (s *Server) delivery(c *fiber.Ctx) error {
	return one(c, func(ctx context.Context, id string) (view.Delivery, error) {
		d, err := s.deps.Reader.Delivery(ctx, id)
		return view.OfDelivery(d), err
	})
}

func (s *Server) runs(c *fiber.Ctx) error {
	return list(c, view.RunStates, s.deps.Reader.Runs, view.OfRun, func(r view.Run) string { return r.ID })
}

func (s *Server) run(c *fiber.Ctx) error {
	return one(c, func(ctx context.Context, id string) (view.Run, error) {
		r, err := s.deps.Reader.Run(ctx, id)
		return view.OfRun(r), err
	})
}

func (s *Server) acknowledge(c *fiber.Ctx) error {
	return s.do(c, "acknowledged", false, s.deps.Operator.Acknowledge)
}

func (s *Server) resolve(c *fiber.Ctx) error {
	return s.do(c, "resolved", true, s.deps.Operator.Resolve)
}

func (s *Server) retry(c *fiber.Ctx) error {
	return s.do(c, "retrying", false, func(ctx context.Context, id, by, _ string) error {
		return s.deps.Operator.RetryDelivery(ctx, id, by)
	})
}

// do carries out a deed in the caller's name. needsWhy makes a reason required.
func (s *Server) do(c *fiber.Ctx, code string, needsWhy bool, deed func(ctx context.Context, id, by, why string) error) error {
	var body struct {
		Why string `json:"why"`
	}
	if err := read(c, &body); err != nil {
		return err
	}
	if err := reason(&body.Why, needsWhy); err != nil {
		return err
	}
	return s.carryOut(c, code, func(ctx context.Context, by string) error { return deed(ctx, id(c), by, body.Why) })
}

// carryOut does a deed in the caller's name and says so, or why not.
func (s *Server) carryOut(c *fiber.Ctx, code string, deed func(ctx context.Context, by string) error) error {
	if err := s.attempt(c, deed); err != nil {
		return err
	}
	return c.JSON(view.Done{Status: fiber.StatusOK, Code: code, RequestID: nameRequest(c)})
}

// attempt does a deed in the caller's name. Its error says why not.
func (s *Server) attempt(c *fiber.Ctx, deed func(ctx context.Context, by string) error) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), patience)
	defer cancel()
	err := deed(ctx, caller(c))
	if err != nil && s.answer(err).Status == fiber.StatusInternalServerError {
		return problem(fiber.StatusConflict, "refused", err.Error())
	}
	return err
}

// reason trims a reason in place and says what is wrong with it.
func reason(why *string, needed bool) error {
	*why = strings.TrimSpace(*why)
	switch {
	case needed && *why == "":
		return problem(fiber.StatusUnprocessableEntity, "why_missing", `say why: {"why": "…"}`)
	case len(*why) > maxWhy:
		return problem(fiber.StatusUnprocessableEntity, "why_too_long", fmt.Sprintf("why may have %d bytes", maxWhy))
	}
	return nil
}

// read decodes the body of a command.
func read(c *fiber.Ctx, into any) error {
	if err := decode(c.Request().Body(), into); err != nil {
		return problem(fiber.StatusBadRequest, "bad_json", inJSON(err))
	}
	return nil
}

// inJSON says what is wrong with a body in JSON's words, not in Go's.
func inJSON(err error) string {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	at, isTime := errors.AsType[*time.ParseError](err)
	switch {
	case isTime:
		return fmt.Sprintf("%s is no time such as \"2026-11-30T22:00:00Z\"", at.Value)
	case !ok:
		return err.Error()
	case wrong.Field == "":
		return fmt.Sprintf("the body is one JSON object (got %s)", wrong.Value)
	}
	return fmt.Sprintf("%s cannot be a %s", wrong.Field, wrong.Value)
}

// decode reads one JSON object strictly; no body is an empty object.
func decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// id is the path's id. What no id looks like finds nothing.
func id(c *fiber.Ctx) string {
	if id := c.Params("id"); requestID.MatchString(id) {
		return id
	}
	return "-"
}

// one answers with a single thing.
func one[V any](c *fiber.Ctx, load func(context.Context, string) (V, error)) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), patience)
	defer cancel()
	v, err := load(ctx, id(c))
	if err != nil {
		return err
	}
	return c.JSON(v)
}

// list answers with a page.
func list[T, V any](c *fiber.Ctx, states []string,
	load func(context.Context, incident.Filter) ([]T, error), of func(T) V, key func(V) string,
) error {
	f, err := filter(c, states)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), patience)
	defer cancel()
	items, err := load(ctx, f)
	if err != nil {
		return err
	}
	page := view.List[V]{Items: view.Each(items, of)}
	if n := len(page.Items); n == f.Limit {
		page.Next = key(page.Items[n-1])
	}
	return c.JSON(page)
}

// filter reads the query. An unknown parameter is refused: a mistyped filter
// would otherwise answer with everything.
func filter(c *fiber.Ctx, states []string) (incident.Filter, error) {
	f := incident.Filter{Limit: defaultLimit}
	var err error
	refuse := func(format string, args ...any) {
		err = problem(fiber.StatusBadRequest, "bad_parameter", fmt.Sprintf(format, args...))
	}
	when := func(name, value string) time.Time {
		at, parseErr := time.Parse(time.RFC3339, value)
		if parseErr != nil {
			refuse("%s must be a time such as 2026-11-30T22:00:00Z", name)
		}
		return at
	}
	for name, value := range c.Queries() {
		switch name {
		case "limit":
			n, parseErr := strconv.Atoi(value)
			if parseErr != nil || n < 1 || n > maxLimit {
				refuse("limit must be 1 to %d", maxLimit)
			}
			f.Limit = n
		case "state":
			if states == nil {
				refuse("a line of the audit has no state; use action")
			} else if !slices.Contains(states, value) {
				refuse("state must be one of %s", strings.Join(states, ", "))
			}
			f.State = value
		case "action", "run": // of a line of the audit, which has no state
			switch {
			case states != nil:
				refuse("%s is for the audit only", name)
			case name == "run":
				f.Run = value
			case !slices.Contains(view.AuditActions, value):
				refuse("action must be one of %s", strings.Join(view.AuditActions, ", "))
			default:
				f.State = value
			}
		case "before":
			f.Before = value
		case "incident":
			f.Incident = value
		case "event":
			f.Event = value
		case "notifier":
			f.Notifier = value
		case "source":
			f.Source = value
		case "since":
			f.Since = when(name, value)
		case "until":
			f.Until = when(name, value)
		default:
			refuse("%q is no parameter; use limit, before, state, action, incident, event, run, notifier, source, since, until", name)
		}
	}
	return f, err
}

func (s *Server) reload(c *fiber.Ctx) error {
	var done view.Reload
	err := s.attempt(c, func(ctx context.Context, by string) (err error) {
		done, err = s.deps.Reload(ctx, by)
		return err
	})
	if err != nil {
		return err
	}
	return c.JSON(done)
}
