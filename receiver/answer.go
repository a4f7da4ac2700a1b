package receiver

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"datasync-bridge/receiver/signature"

	"github.com/gofiber/fiber/v2"
)

// answer is one row of the answer table (ingest rule 3).
type answer struct {
	status int
	code   string
	// retry is what Retry-After says, zero for none.
	retry time.Duration
	// hangUp closes the connection, because what it still carries is not a
	// request.
	hangUp bool
}

var (
	notFound       = answer{status: fiber.StatusNotFound, code: "not_found"}
	wrongMethod    = answer{status: fiber.StatusMethodNotAllowed, code: "method_not_allowed"}
	encoded        = answer{status: fiber.StatusUnsupportedMediaType, code: "unsupported_content_encoding"}
	tooLarge       = answer{status: fiber.StatusRequestEntityTooLarge, code: "body_too_large", hangUp: true}
	tooManyHeader  = answer{status: fiber.StatusRequestHeaderFieldsTooLarge, code: "headers_too_large", hangUp: true}
	tooSlow        = answer{status: fiber.StatusRequestTimeout, code: "request_timeout", hangUp: true}
	incomplete     = answer{status: fiber.StatusBadRequest, code: "body_incomplete", hangUp: true}
	malformed      = answer{status: fiber.StatusBadRequest, code: "malformed_request", hangUp: true}
	internal       = answer{status: fiber.StatusInternalServerError, code: "internal_error"}
	busy           = answer{status: fiber.StatusServiceUnavailable, code: "busy", retry: time.Second}
	storeFull      = answer{status: fiber.StatusServiceUnavailable, code: "store_full", retry: time.Minute}
	quarantineFull = answer{status: fiber.StatusServiceUnavailable, code: "quarantine_full", retry: time.Minute}
	unavailable    = answer{status: fiber.StatusServiceUnavailable, code: "unavailable", retry: 5 * time.Second}
	closing        = answer{status: fiber.StatusServiceUnavailable, code: "shutting_down", retry: 5 * time.Second, hangUp: true}
	healthy        = answer{status: fiber.StatusOK, code: "ok"}
	ready          = answer{status: fiber.StatusOK, code: "ready"}
	notReady       = answer{status: fiber.StatusServiceUnavailable, code: "not_ready", retry: 5 * time.Second}
)

func unauthenticated(code signature.Code) answer {
	return answer{status: fiber.StatusUnauthorized, code: string(code)}
}

func tooMany(wait time.Duration) answer {
	return answer{status: fiber.StatusTooManyRequests, code: "too_many_failures", retry: wait}
}

// send writes an answer, with the id of the stored event where there is one.
func (s *Server) send(c *fiber.Ctx, a answer, eventID string) error {
	id := s.requestID(c)
	c.Set(fiber.HeaderXRequestID, id)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	if a.retry > 0 {
		seconds := (a.retry + time.Second - 1) / time.Second
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(seconds)))
	}
	if a.hangUp {
		c.Set(fiber.HeaderConnection, "close")
		linger(c.Context().Conn())
	}
	c.Status(a.status).Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	// No field can hold a character that JSON escapes.
	text := make([]byte, 0, 160)
	text = append(text, `{"status":`...)
	text = strconv.AppendInt(text, int64(a.status), 10)
	text = append(text, `,"code":"`...)
	text = append(text, a.code...)
	text = append(text, `","request_id":"`...)
	text = append(text, id...)
	if eventID != "" {
		text = append(text, `","event_id":"`...)
		text = append(text, eventID...)
	}
	text = append(text, '"', '}', '\n')
	c.Context().SetBody(text)
	return nil
}

var foreignID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID returns the id of a request: the sender's own where it has a shape
// that is safe to repeat, else one of ours. Asked twice it says the same.
func (s *Server) requestID(c *fiber.Ctx) string {
	const local = "request_id"
	if id, ok := c.Locals(local).(string); ok {
		return id
	}
	id := c.Get(fiber.HeaderXRequestID)
	if !foreignID.MatchString(id) {
		id = s.ids.next()
	}
	c.Locals(local, id)
	return id
}

// ids gives out request ids: a random part per process, then a count.
type ids struct {
	process string
	count   atomic.Uint64
}

func newIDs() *ids {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	return &ids{process: "req_" + hex.EncodeToString(random[:]) + "_"}
}

func (i *ids) next() string { return i.process + strconv.FormatUint(i.count.Add(1), 36) }

// fault answers what went wrong outside a handler: a request that could not be
// parsed, a panic. It never repeats the error's text.
func (s *Server) fault(c *fiber.Ctx, err error) error {
	a := internal
	var f *fiber.Error
	if errors.As(err, &f) {
		switch f.Code {
		case fiber.StatusNotFound:
			a = notFound
		case fiber.StatusMethodNotAllowed:
			a = wrongMethod
		case fiber.StatusRequestEntityTooLarge:
			a = tooLarge
		case fiber.StatusRequestHeaderFieldsTooLarge:
			a = tooManyHeader
		case fiber.StatusRequestTimeout:
			a = tooSlow
		case fiber.StatusBadRequest, fiber.StatusBadGateway:
			a = malformed
		}
	}
	s.observe(Answered{Code: a.code})
	return s.send(c, a, "")
}
