package web

import (
	"context"
	"fmt"
	"slices"

	"github.com/gofiber/fiber/v2"

	"datasync-bridge/routing/incident"
)

// maxApproved is how many runs one request may approve: as many as one request
// for approval lists.
const maxApproved = 50

func (s *Server) approveRuns(c *fiber.Ctx) error {
	var body struct {
		IDs []string `json:"ids"`
		Why string   `json:"why"`
	}
	if err := read(c, &body); err != nil {
		return err
	}
	if err := reason(&body.Why, false); err != nil {
		return err
	}
	switch n := len(body.IDs); {
	case n == 0:
		return problem(fiber.StatusUnprocessableEntity, "ids_missing", `name the runs: {"ids": ["rn_…"]}; none is approved unnamed`)
	case n > maxApproved:
		return problem(fiber.StatusUnprocessableEntity, "too_many_ids", fmt.Sprintf("one request may name %d runs (got %d)", maxApproved, n))
	case slices.ContainsFunc(body.IDs, func(id string) bool { return !requestID.MatchString(id) }):
		return problem(fiber.StatusUnprocessableEntity, "bad_id", "an id looks such as rn_0000000000000")
	}
	return s.carryOut(c, "approved", func(ctx context.Context, by string) error {
		return s.deps.Desk.Approve(ctx, body.IDs, by, body.Why)
	})
}

func (s *Server) denyRun(c *fiber.Ctx) error {
	return s.do(c, "denied", true, s.deps.Desk.Deny)
}

func (s *Server) stopRun(c *fiber.Ctx) error {
	return s.do(c, "stopped", true, s.deps.Desk.StopRun)
}

func (s *Server) stopRuns(c *fiber.Ctx) error {
	return s.scoped(c, "stopped", s.deps.Desk.Stop)
}

func (s *Server) resumeRuns(c *fiber.Ctx) error {
	return s.scoped(c, "resumed", s.deps.Desk.Resume)
}

// scoped is a deed on all runs, or on those of one remediation. The scope must
// be said: whoever forgets it would stop, or let loose, more than was meant.
func (s *Server) scoped(c *fiber.Ctx, code string, deed func(ctx context.Context, scope, by, why string) error) error {
	var body struct {
		Scope *string `json:"scope"`
		Why   string  `json:"why"`
	}
	if err := read(c, &body); err != nil {
		return err
	}
	if err := reason(&body.Why, true); err != nil {
		return err
	}
	switch {
	case body.Scope == nil:
		return problem(fiber.StatusUnprocessableEntity, "scope_missing", `say whose runs: {"scope": "a remediation's name"}, or "" for all`)
	case len(*body.Scope) > maxWhy:
		return problem(fiber.StatusUnprocessableEntity, "scope_too_long", "scope is a remediation's name")
	}
	return s.carryOut(c, code, func(ctx context.Context, by string) error { return deed(ctx, *body.Scope, by, body.Why) })
}

func (s *Server) clearRun(c *fiber.Ctx) error {
	var body struct {
		Outcome incident.RunState `json:"outcome"`
		Why     string            `json:"why"`
	}
	if err := read(c, &body); err != nil {
		return err
	}
	if err := reason(&body.Why, true); err != nil {
		return err
	}
	if body.Outcome != incident.RunDone && body.Outcome != incident.RunFailed {
		return problem(fiber.StatusUnprocessableEntity, "bad_outcome", "outcome is done or failed: what did you find?")
	}
	return s.carryOut(c, "cleared", func(ctx context.Context, by string) error {
		return s.deps.Desk.Clear(ctx, id(c), body.Outcome == incident.RunDone, by, body.Why)
	})
}
