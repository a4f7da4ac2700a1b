package receiver

import (
	"errors"
	"fmt"
	"time"

	"datasync-bridge/receiver/mapping"
	"datasync-bridge/receiver/signature"

	"github.com/gofiber/fiber/v2"
)

// hook is the address of one source.
type hook struct {
	server   *Server
	source   Source
	verifier *signature.Verifier
	mapping  *mapping.Mapping
	identity identity
}

// hooks are the sources in force, by path. They are never changed, only
// replaced by others.
type hooks map[string]*hook

// Prepare compiles sources and puts none of them in force: use does, all at
// once, and cannot fail. Requests that have begun end by the sources that they
// began with. The error names what ValidateSources and Validate report.
func (s *Server) Prepare(sources []Source) (use func(), err error) {
	var faults []error
	fault := func(path, problem string) { faults = append(faults, fmt.Errorf("%s: %s", path, problem)) }
	ValidateSources(sources, func(path, problem string) { fault("sources"+path, problem) })
	next := make(hooks, len(sources))
	for i, src := range sources {
		at := fmt.Sprintf("sources[%d]", i)
		src = src.WithDefaults()
		src.Validate(under(at, fault))
		if h, err := s.newHook(src); err == nil {
			next[src.Path] = h
		} else if len(faults) == 0 {
			fault(at, err.Error())
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return func() { s.hooks.Store(&next) }, nil
}

func (s *Server) newHook(src Source) (*hook, error) {
	if src.Verify == nil {
		return nil, fmt.Errorf("source %q: verify is required", src.Name)
	}
	address := ""
	if s.publicURL != "" {
		address = s.publicURL + src.Path
	}
	v, err := signature.New(*src.Verify, address)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", src.Name, err)
	}
	m, err := mapping.New(src.Mapping)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", src.Name, err)
	}
	return &hook{server: s, source: src, verifier: v, mapping: m, identity: newIdentity(src.Verify.ID)}, nil
}

// knock answers at the addresses of the sources, and where nobody lives.
func (s *Server) knock(c *fiber.Ctx) error {
	path := c.Path()
	h := (*s.hooks.Load())[path]
	if h != nil && c.Method() == fiber.MethodPost {
		return h.serve(c)
	}
	a := notFound
	switch {
	case h != nil:
		a = wrongMethod
		c.Set(fiber.HeaderAllow, fiber.MethodPost)
	case path == healthPath || path == readyPath:
		a = wrongMethod
		c.Set(fiber.HeaderAllow, "GET, HEAD")
	}
	s.observe(Answered{Code: a.code, Took: time.Since(c.Context().Time())})
	s.rejected.unknown(a, c.Method(), path, s.requestID(c), s.address(c))
	return s.send(c, a, "")
}
