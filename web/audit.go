package web

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// recordable are the deeds that a person does elsewhere and may add to the
// record. All others the bridge writes itself, about what it saw happen.
var recordable = []string{incident.AuditCalled, incident.AuditExported}

func (s *Server) audit(c *fiber.Ctx) error {
	return list(c, nil, s.deps.Reader.Audit, view.OfAudit, func(a incident.Audit) string { return strconv.FormatInt(a.ID, 10) })
}

// record appends a deed in the caller's name, whatever the body says of an actor.
func (s *Server) record(c *fiber.Ctx) error {
	var a view.Deed
	if err := read(c, &a); err != nil {
		return err
	}
	if err := reason(&a.Why, false); err != nil {
		return err
	}
	switch {
	case !slices.Contains(recordable, a.Action):
		return problem(fiber.StatusUnprocessableEntity, "bad_action", "action is one of "+strings.Join(recordable, ", "))
	case a.Subject == "":
		return problem(fiber.StatusUnprocessableEntity, "subject_missing", "say what it was done to: subject")
	}
	for _, text := range []string{a.Subject, a.Incident, a.Event, a.Run, a.Key, a.RequestID, a.Result} {
		if len(text) > maxWhy {
			return problem(fiber.StatusUnprocessableEntity, "too_long", fmt.Sprintf("a field may have %d bytes", maxWhy))
		}
	}
	return s.carryOut(c, "recorded", func(ctx context.Context, by string) error {
		return s.deps.Desk.Record(ctx, incident.Audit{
			Actor: by, Action: a.Action, Subject: a.Subject, Why: a.Why, Incident: a.Incident, Event: a.Event,
			Run: a.Run, Key: a.Key, RequestID: a.RequestID, Result: a.Result,
		})
	})
}
