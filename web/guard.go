package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// Keys of what a request carries through the handlers.
const (
	userKey    = "user"
	requestKey = "request"
)

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// guard wraps every request: it names it, refuses what a browser was tricked
// into sending, and logs how it ended. Only methods, routes, names and codes
// are logged, never a query or a header.
func (s *Server) guard(c *fiber.Ctx) error {
	began := time.Now()
	id := nameRequest(c)
	err := s.admissible(c)
	if err == nil {
		err = c.Next()
	}
	if err != nil {
		if err = s.failed(c, err); err != nil {
			return err
		}
	}
	if strings.HasPrefix(c.Path(), "/api/") && c.Method() != fiber.MethodGet {
		s.log.Info("admin request", "request", id, "method", c.Method(), "route", c.Route().Path,
			"by", caller(c), "status", c.Response().StatusCode(), "took", time.Since(began))
	}
	return nil
}

// harden tells a browser to run, keep, frame and pass on nothing of an answer.
func harden(h *fasthttp.ResponseHeader) {
	h.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	h.Set(fiber.HeaderCacheControl, "no-store")
	h.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	h.Set(fiber.HeaderXFrameOptions, "DENY")
	h.Set(fiber.HeaderReferrerPolicy, "no-referrer")
}

// nameRequest gives the request its id: the caller's, if it has the form of one.
func nameRequest(c *fiber.Ctx) string {
	if id, ok := c.Locals(requestKey).(string); ok {
		return id
	}
	id := c.Get(fiber.HeaderXRequestID)
	if !requestID.MatchString(id) {
		id = rand.Text()
	}
	c.Locals(requestKey, id)
	c.Set(fiber.HeaderXRequestID, id)
	return id
}

// admissible refuses what is too large, and requests that a page of another
// site can cause.
func (s *Server) admissible(c *fiber.Ctx) error {
	if len(c.Request().Body()) > maxBody {
		return problem(fiber.StatusRequestEntityTooLarge, "request_entity_too_large", fmt.Sprintf("a body may have %d bytes", maxBody))
	}
	if !s.hostAllowed(c) {
		// Otherwise a name that an attacker points at this address (DNS
		// rebinding) would make its pages same-origin with the API.
		return problem(fiber.StatusMisdirectedRequest, "host_not_allowed", "this Host is not served here; see admin.hosts")
	}
	if origin := c.Get(fiber.HeaderOrigin); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, c.Get(fiber.HeaderHost)) {
			return problem(fiber.StatusForbidden, "origin_not_allowed", "requests from other sites are refused")
		}
	}
	switch c.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return problem(fiber.StatusForbidden, "origin_not_allowed", "requests from other sites are refused")
	}
	if enc := c.Get(fiber.HeaderContentEncoding); enc != "" && enc != "identity" {
		return problem(fiber.StatusUnsupportedMediaType, "unsupported_encoding", "send the body without Content-Encoding")
	}
	if c.Method() == fiber.MethodPost {
		kind, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
		if err != nil || kind != fiber.MIMEApplicationJSON {
			return problem(fiber.StatusUnsupportedMediaType, "json_only", "send Content-Type: application/json")
		}
	}
	return nil
}

// allowedHosts are the names under which the listener may be called.
func allowedHosts(cfg Config) map[string]bool {
	hosts := map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}
	if host, _, err := net.SplitHostPort(cfg.Listen); err == nil && host != "" {
		hosts[strings.ToLower(host)] = true
	}
	for _, host := range cfg.Hosts {
		hosts[strings.ToLower(host)] = true
	}
	return hosts
}

func (s *Server) hostAllowed(c *fiber.Ctx) bool {
	host := bareHost(c.Get(fiber.HeaderHost))
	if s.hosts[host] {
		return true
	}
	// The address that was called is no name that anybody could have rebound.
	called, _, err := net.SplitHostPort(c.Context().LocalAddr().String())
	return err == nil && host == called
}

func bareHost(h string) string {
	if host, _, err := net.SplitHostPort(h); err == nil {
		h = host
	}
	return strings.ToLower(strings.Trim(h, "[]"))
}

func problem(status int, code, message string) *view.Error {
	return &view.Error{Status: status, Code: code, Message: message}
}

// failed is the one place that turns errors into answers. What is not meant
// for the caller is logged and answered as "internal".
func (s *Server) failed(c *fiber.Ctx, err error) error {
	harden(&c.Response().Header) // one that cannot be parsed comes here directly
	id := nameRequest(c)
	answer := s.answer(err)
	if answer.Status == fiber.StatusInternalServerError {
		s.log.LogAttrs(c.UserContext(), slog.LevelError, "admin request failed",
			slog.String("request", id), slog.String("route", c.Route().Path), slog.Any("err", err))
	}
	answer.RequestID = id
	return c.Status(answer.Status).JSON(answer)
}

func (s *Server) answer(err error) view.Error {
	var own *view.Error
	var framework *fiber.Error
	switch {
	case errors.As(err, &own):
		return *own
	case errors.Is(err, event.ErrNotFound):
		return *problem(fiber.StatusNotFound, "not_found", "there is no such thing")
	case errors.Is(err, incident.ErrConflict):
		return *problem(fiber.StatusConflict, "conflict", err.Error())
	case errors.Is(err, event.ErrBusy), errors.Is(err, event.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return *problem(fiber.StatusServiceUnavailable, "unavailable", "the store cannot do that now; try again")
	case errors.As(err, &framework) && framework.Code < fiber.StatusInternalServerError:
		code := strings.ReplaceAll(strings.ToLower(framework.Message), " ", "_")
		if framework.Code == fiber.StatusNotFound {
			return *problem(framework.Code, "not_found", "there is no such address")
		}
		return *problem(framework.Code, code, strings.ToLower(framework.Message))
	}
	return *problem(fiber.StatusInternalServerError, "internal", "the bridge failed; its log says why")
}
