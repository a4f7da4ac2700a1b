package receiver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver/signature"

	"github.com/gofiber/fiber/v2"
)

// acceptTimeout bounds the wait for the store; the shortest patience known of a
// sender is 5 s.
const acceptTimeout = 4 * time.Second

// serve answers one request, and tells what came of it.
func (h *hook) serve(c *fiber.Ctx) error {
	a, eventID, err := h.take(c)
	if err != nil {
		a = h.refuse(c, a, err)
	}
	h.server.observe(Answered{Source: h.source.Name, Code: a.code, Event: eventID, Took: time.Since(c.Context().Time())})
	return h.server.send(c, a, eventID)
}

// take is the order of checks (ingest rule 1). Route and method are decided
// already. It returns only once nobody uses the body's bytes any more.
func (h *hook) take(c *fiber.Ctx) (a answer, eventID string, err error) {
	s := h.server
	if s.closing.Load() {
		return closing, "", errors.New("the bridge is shutting down")
	}
	request := headers{&c.Request().Header}
	declared := request.of.ContentLength()
	if !identityEncoded(request.Values(fiber.HeaderContentEncoding)) {
		return skipping(encoded, declared), "", errors.New("the body is encoded")
	}
	if declared > s.bodies.limit {
		return tooLarge, "", fmt.Errorf("%d bytes are declared", declared)
	}
	claim, err := h.verifier.Read(request)
	if err != nil {
		return skipping(h.unauthenticated(c, err), declared), "", err
	}
	raw, err := s.bodies.read(c.Context().RequestBodyStream(), declared)
	if err != nil {
		return unread(err, declared), "", err
	}
	defer raw.release()
	if declared < 0 && ended(c.Context().Conn()) {
		return incomplete, "", errIncomplete
	}
	// Whoever dripped a body must not look fresh: what counts is its last byte.
	now := s.now()
	verified, err := h.verifier.Check(claim, raw.bytes, now)
	if err != nil {
		return h.unauthenticated(c, err), "", err
	}
	r, err := h.received(verified, raw.bytes, now)
	if err != nil {
		return internal, "", err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), acceptTimeout)
	defer cancel()
	receipt, err := s.inbox.Accept(ctx, r)
	switch {
	case errors.Is(err, event.ErrBusy):
		return busy, "", err
	case errors.Is(err, event.ErrFull):
		return storeFull, "", err
	case errors.Is(err, event.ErrQuarantineFull):
		return quarantineFull, "", err
	case err != nil:
		return unavailable, "", err
	}
	return h.kept(r, receipt), receipt.ID, nil
}

// received describes a verified body to the store.
func (h *hook) received(v signature.Verified, raw []byte, now time.Time) (event.Received, error) {
	if raw == nil {
		raw = []byte{} // an empty body is a body
	}
	probe, err := h.mapping.Probe(raw)
	if err != nil {
		return event.Received{}, err
	}
	r := event.Received{
		Source: h.source.Name, Environment: h.source.Environment,
		BodyHash: sha256.Sum256(raw), Type: probe.Type, Quarantine: probe.Quarantine,
		Origin: event.OriginWebhook, Authentic: v.Authentic, ReceivedAt: now, Body: raw,
	}
	if probe.Sandbox {
		r.Environment = event.Sandbox
	}
	r.Key, r.ForeignID = h.identity.dedupKey(v, probe, r.BodyHash)
	r.ForeignID = short(r.ForeignID, 200)
	return r, nil
}

// kept answers for what is on disk.
func (h *hook) kept(r event.Received, receipt event.Receipt) answer {
	status := receipt.Status
	if status == event.Accepted && r.Quarantine != "" {
		status = event.Quarantined
	}
	a := answer{status: h.source.SuccessStatus, code: string(status)}
	switch {
	case status == event.Duplicate:
		a.status = fiber.StatusOK
	case status == event.Quarantined && h.source.StrictJSON:
		a.status = fiber.StatusBadRequest
	}
	return a
}

// unauthenticated counts the failure against the address it came from. Only
// failures are counted, and only failures are ever answered 429.
func (h *hook) unauthenticated(c *fiber.Ctx, err error) answer {
	s := h.server
	code := signature.Mismatch
	var refusal *signature.Error
	if errors.As(err, &refusal) {
		code = refusal.Code
	}
	if over, wait := s.failures.add(s.address(c), s.now()); over {
		return tooMany(wait)
	}
	return unauthenticated(code)
}

// worthReading is the longest rest of a refused request that is passed over.
const worthReading = 64 << 10

// skipping is an answer given before the body was read. A short body is passed
// over and the connection kept; for a long or an endless one it is closed.
func skipping(a answer, declared int) answer {
	a.hangUp = declared < 0 || declared > worthReading
	return a
}

func unread(err error, declared int) answer {
	switch {
	case errors.Is(err, errTooLarge):
		return tooLarge
	case errors.Is(err, errNoRoom):
		return skipping(busy, declared) // nothing was lost: a sender that connects anew costs more
	case errors.Is(err, errSlow):
		return tooSlow
	}
	return incomplete
}

// refuse logs why, once a second or so, and returns the answer. A fault of our
// own is an error; a refusal is not.
func (h *hook) refuse(c *fiber.Ctx, a answer, err error) answer {
	if a.status >= fiber.StatusInternalServerError && a.code != closing.code {
		h.server.rejected.fault(h.source.Name, a, h.server.requestID(c), err)
		return a
	}
	h.server.rejected.refusal(h.source.Name, a, h.server.requestID(c), h.server.address(c), err)
	return a
}

func identityEncoded(values []string) bool {
	for _, v := range values {
		if v != "" && !strings.EqualFold(strings.TrimSpace(v), "identity") {
			return false
		}
	}
	return true
}

func short(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
