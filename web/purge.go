package web

import (
	"context"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"

	"datasync-bridge/routing/incident"
)

// maxPartner bounds a partner's id, in bytes.
const maxPartner = 300

// purge does one step, and says where to go on.
func (s *Server) purge(c *fiber.Ctx) error {
	var ask incident.Purge
	if err := read(c, &ask); err != nil {
		return err
	}
	if err := reason(&ask.Why, ask.Apply); err != nil {
		return err
	}
	switch {
	case ask.Partner == "":
		return problem(fiber.StatusUnprocessableEntity, "partner_missing", `say whose events: {"partner": "…"}`)
	case len(ask.Partner) > maxPartner:
		return problem(fiber.StatusUnprocessableEntity, "partner_too_long", fmt.Sprintf("partner may have %d bytes", maxPartner))
	case ask.Before.IsZero() || ask.Before.After(time.Now().Add(time.Minute)):
		return problem(fiber.StatusUnprocessableEntity, "bad_before", `say up to when, not in the future: {"before": "2026-11-30T22:00:00Z"}`)
	}
	var done incident.Purged
	err := s.attempt(c, func(ctx context.Context, by string) (err error) {
		done, err = s.deps.Purger.Purge(ctx, ask, by)
		return err
	})
	if err != nil {
		return err
	}
	return c.JSON(done)
}
