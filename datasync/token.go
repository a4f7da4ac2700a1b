package datasync

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"datasync-bridge/event"
)

const (
	// defaultLifetime is assumed of a token that does not tell its own.
	defaultLifetime = 5 * time.Minute
	// maxEarly and a quarter of the lifetime bound how early a token is
	// renewed: an early margin beyond the lifetime would mean a request a call.
	maxEarly = time.Minute
	// refusedFor is how long a failed request answers for those that follow, so
	// that wrong credentials are not tried once per caller.
	refusedFor    = 5 * time.Second
	maxRefusedFor = time.Minute
)

// token is a JWT with the time from which another is fetched.
type token struct {
	text  string
	renew time.Time
}

// tokens keeps the one token that all callers share. Whoever finds it missing
// or due fetches it under the turn; the others wait for their turn, or for
// their own context, and find it there.
type tokens struct {
	fetch func(context.Context) (text string, lifetime time.Duration, err error)
	now   func() time.Time
	turn  chan struct{} // capacity 1: held while fetching

	mu      sync.Mutex
	current token
	refusal error
	until   time.Time // of refusal
}

func (t *tokens) get(ctx context.Context) (string, error) {
	if text, known, err := t.cached(); known {
		return text, err
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if text, known, err := t.cached(); known {
		return text, err
	}
	text, lifetime, err := t.fetch(ctx)
	t.store(ctx, text, lifetime, err)
	return text, err
}

// cached returns what is known without asking: a token, or a recent refusal.
func (t *tokens) cached() (text string, known bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	switch {
	case t.current.text != "" && now.Before(t.current.renew):
		return t.current.text, true, nil
	case t.refusal != nil && now.Before(t.until):
		return "", true, t.refusal
	}
	return "", false, nil
}

func (t *tokens) store(ctx context.Context, text string, lifetime time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refusal = nil
	if err == nil {
		lifetime = lifetimeOf(text, lifetime, t.now())
		t.current = token{text, t.now().Add(lifetime - min(maxEarly, lifetime/4))}
		return
	}
	if ctx.Err() != nil {
		return // this caller gave up; that says nothing to the next
	}
	wait := refusedFor
	if e, ok := errors.AsType[*Error](err); ok {
		wait = max(wait, min(e.RetryAfter, maxRefusedFor))
	}
	t.refusal, t.until = err, t.now().Add(wait)
}

// drop forgets a token that was refused, unless another has replaced it.
func (t *tokens) drop(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.text == text {
		t.current = token{}
	}
}

// lifetimeOf returns how long a token lives: as its answer told, else by the
// JWT's own times, else defaultLifetime. The signature is Datasync's matter;
// issue and expiry are both on its clock, so a wrong clock here does no harm.
func lifetimeOf(text string, told time.Duration, now time.Time) time.Duration {
	if told > 0 {
		return told
	}
	claims := jwt.RegisteredClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(text, &claims); err != nil || claims.ExpiresAt == nil {
		return defaultLifetime
	}
	issued := now
	if claims.IssuedAt != nil {
		issued = claims.IssuedAt.Time
	}
	if d := claims.ExpiresAt.Sub(issued); d > 0 {
		return d
	}
	return defaultLifetime
}

// TokenInfo is what a token says of itself. Its signature is not checked: that
// is Datasync's matter.
type TokenInfo struct {
	// Text is the token itself: a secret.
	Text   event.Secret
	Claims map[string]any // nil where the token is no JWT
	// Expires is zero where neither token nor answer tells.
	Expires time.Time
}

// Token returns the token that calls bear now, fetching one if need be.
func (c *Client) Token(ctx context.Context) (TokenInfo, error) {
	text, err := c.tokens.get(ctx)
	return TokenInfo{Text: event.Secret(text)}, err
}

// Environment is which Datasync this client calls.
func (c *Client) Environment() event.Environment { return c.cfg.Environment }
