package web

import (
	"context"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// silences answers with all at once: they are few, and made by people.
func (s *Server) silences(c *fiber.Ctx) error {
	all := false
	for name, value := range c.Queries() {
		switch {
		case name != "all":
			return problem(fiber.StatusBadRequest, "bad_parameter", fmt.Sprintf("%q is no parameter; use all", name))
		case value != "true" && value != "false":
			return problem(fiber.StatusBadRequest, "bad_parameter", "all must be true or false")
		}
		all = value == "true"
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), patience)
	defer cancel()
	found, err := s.deps.Silencer.Silences(ctx)
	if err != nil {
		return err
	}
	page := view.List[view.Silence]{Items: []view.Silence{}}
	now := time.Now()
	for _, one := range found {
		if v := view.OfSilence(one, now); all || v.State != view.SilenceOver {
			page.Items = append(page.Items, v)
		}
	}
	return c.JSON(page)
}

func (s *Server) addSilence(c *fiber.Ctx) error {
	var body view.NewSilence
	if err := read(c, &body); err != nil {
		return err
	}
	if err := reason(&body.Why, true); err != nil {
		return err
	}
	wanted := incident.Silence{Match: body.Match, From: body.From, Until: body.Until, Why: body.Why}
	switch {
	case len(body.Match) == 0:
		return problem(fiber.StatusUnprocessableEntity, "match_missing", `say what is to be quiet: {"match": {"partner.id": "…"}}`)
	case body.For == "" && body.Until.IsZero():
		return problem(fiber.StatusUnprocessableEntity, "end_missing", `say for how long: {"for": "2h"}, or "until" with a time`)
	case body.For != "" && !body.Until.IsZero():
		return problem(fiber.StatusUnprocessableEntity, "two_ends", `say one of "for" and "until"`)
	case body.For != "":
		span, err := event.ParseDuration(body.For)
		if err != nil {
			return problem(fiber.StatusUnprocessableEntity, "bad_duration", "for: "+err.Error())
		}
		if wanted.From.IsZero() {
			wanted.From = time.Now()
		}
		wanted.Until = wanted.From.Add(span)
	}
	var kept incident.Silence
	err := s.attempt(c, func(ctx context.Context, by string) (err error) {
		kept, err = s.deps.Silencer.AddSilence(ctx, wanted, by)
		return err
	})
	if err != nil {
		return err
	}
	return c.JSON(view.OfSilence(kept, time.Now()))
}

func (s *Server) expireSilence(c *fiber.Ctx) error {
	return s.do(c, "expired", true, s.deps.Silencer.ExpireSilence)
}
