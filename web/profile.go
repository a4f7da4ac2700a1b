package web

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Bounds on a profile of the processor.
const (
	defaultProfile = 10 * time.Second
	maxProfile     = 25 * time.Second // an answer may take 30 s
)

// profile answers with one of Go's profiles, as go tool pprof reads them.
// Package net/http/pprof is not used: it would put itself into every server of
// the process that has no addresses of its own, and tells the command line.
func (s *Server) profile(c *fiber.Ctx) error {
	name := c.Params("profile")
	var out bytes.Buffer
	if name == "profile" {
		if err := processor(c, &out); err != nil {
			return err
		}
	} else {
		found := pprof.Lookup(name)
		if found == nil {
			return problem(fiber.StatusNotFound, "not_found", "there is no such profile; try heap, allocs, goroutine, mutex, block or profile")
		}
		if err := found.WriteTo(&out, c.QueryInt("debug")); err != nil {
			return err
		}
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEOctetStream)
	return c.Send(out.Bytes())
}

// processor profiles the processor for as long as is asked for.
func processor(c *fiber.Ctx, out *bytes.Buffer) error {
	span := defaultProfile
	if text := c.Query("seconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		if span = time.Duration(seconds) * time.Second; err != nil || span <= 0 || span > maxProfile {
			return problem(fiber.StatusBadRequest, "bad_parameter", fmt.Sprintf("seconds must be 1 to %d", int(maxProfile.Seconds())))
		}
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return problem(fiber.StatusConflict, "refused", "the processor is being profiled already")
	}
	enough := time.NewTimer(span)
	defer enough.Stop()
	select {
	case <-enough.C:
	case <-c.Context().Done(): // the bridge is stopping
	}
	pprof.StopCPUProfile() // writes the rest
	return nil
}
