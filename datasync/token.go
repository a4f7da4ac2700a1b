package datasync

import (
	"context"
	"errors"
	"net/http"
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
	// minKept bounds requests where a lifetime is next to nothing.
	minKept = time.Second
	// refusedFor is how long a failed request answers for those that follow, so
	// that wrong credentials are not tried once per caller. As long a token that
	// replaced a refused one is not replaced in turn.
	refusedFor    = 5 * time.Second
	maxRefusedFor = time.Minute
)

// token is a JWT with the time from which another is fetched.
type token struct {
	text    string
	number  int // counts tokens: two may have the same text
	fetched time.Time
	renew   time.Time
	expires time.Time // zero where nothing tells
	// instead reports that it was fetched because the one before was refused.
	instead bool
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
	count   int
	instead bool // of the next one
	refusal error
	until   time.Time // of refusal
}

func (t *tokens) get(ctx context.Context) (token, error) {
	if current, known, err := t.cached(); known {
		return current, err
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return token{}, ctx.Err()
	}
	if current, known, err := t.cached(); known {
		return current, err
	}
	text, lifetime, err := t.fetch(ctx)
	return t.store(ctx, text, lifetime, err)
}

// cached returns what is known without asking: a token, or a recent refusal.
func (t *tokens) cached() (current token, known bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	switch {
	case t.current.text != "" && now.Before(t.current.renew):
		return t.current, true, nil
	case t.refusal != nil && now.Before(t.until):
		return token{}, true, t.refusal
	}
	return token{}, false, nil
}

func (t *tokens) store(ctx context.Context, text string, told time.Duration, err error) (token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refusal = nil
	now := t.now()
	if err == nil {
		lifetime, expires := lifetimeOf(text, told, now)
		t.count++
		t.current = token{
			text: text, number: t.count, fetched: now, expires: expires, instead: t.instead,
			renew: now.Add(max(minKept, lifetime-min(maxEarly, lifetime/4))),
		}
		t.instead = false
		return t.current, nil
	}
	if ctx.Err() != nil {
		return token{}, err // this caller gave up; that says nothing to the next
	}
	wait := refusedFor
	if e, ok := errors.AsType[*Error](err); ok {
		wait = max(wait, min(e.RetryAfter, maxRefusedFor))
	}
	t.refusal, t.until = err, now.Add(wait)
	return token{}, err
}

// refused tells that a call with this token met a 401, and reports whether
// another token is worth a try. However many callers met it, and however late,
// they cost one request: the first makes the token be forgotten, the others
// find its successor. A successor that is refused at once is kept for a
// moment: then the token is not what is wrong.
func (t *tokens) refused(bad token) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.number != bad.number {
		return true
	}
	if t.current.instead && t.now().Before(t.current.fetched.Add(refusedFor)) {
		return false
	}
	t.current, t.instead = token{}, true
	return true
}

// lifetimeOf returns how long a token lives: as its answer told, else by the
// JWT's own times, else defaultLifetime; and when it expires, zero where
// neither tells. The signature is Datasync's matter; issue and expiry are both
// on its clock, so a wrong clock here does no harm.
func lifetimeOf(text string, told time.Duration, now time.Time) (time.Duration, time.Time) {
	if told > 0 {
		return told, now.Add(told)
	}
	claims := jwt.RegisteredClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(text, &claims); err != nil || claims.ExpiresAt == nil {
		return defaultLifetime, time.Time{}
	}
	issued := now
	if claims.IssuedAt != nil {
		issued = claims.IssuedAt.Time
	}
	if d := claims.ExpiresAt.Sub(issued); d > 0 {
		return d, claims.ExpiresAt.Time
	}
	return defaultLifetime, claims.ExpiresAt.Time
}

// fetchToken asks for a JWT. The answer's field names are assumed, those of
// OAuth first.
func (c *Client) fetchToken(ctx context.Context) (string, time.Duration, error) {
	ctx, stop := context.WithTimeout(ctx, c.o.Budget)
	defer stop()
	a, err := c.send(ctx, request{
		op:     "token",
		method: http.MethodPost,
		path:   "/auth/token",
		body:   map[string]string{"client_id": c.cfg.ClientID, "client_secret": c.cfg.ClientSecret.Reveal()},
		read:   true,
	})
	if err != nil {
		return "", 0, err
	}
	text := a.body.text("access_token", "token", "jwt", "data.access_token", "data.token")
	if text == "" {
		return "", 0, &Error{Op: "token", Kind: Unexpected, Status: a.status, RequestID: a.requestID,
			Message: "the answer holds no access_token", Sent: true}
	}
	return text, time.Duration(a.body.number("expires_in", "data.expires_in") * float64(time.Second)), nil
}

// TokenInfo is what a token says of itself. Its signature is not checked: that
// is Datasync's matter.
type TokenInfo struct {
	// Text is the token itself: a secret.
	Text event.Secret
	// Claims are the JWT's, numbers as json.Number; nil where it is no JWT.
	Claims map[string]any
	// Expires is by the answer's expires_in, else by the token's exp; zero where
	// neither tells.
	Expires time.Time
}

// Token returns the token that calls bear now, fetching one if need be.
func (c *Client) Token(ctx context.Context) (TokenInfo, error) {
	t, err := c.tokens.get(ctx)
	if err != nil {
		if _, typed := errors.AsType[*Error](err); !typed {
			err = &Error{Op: "token", Kind: Network, Err: err}
		}
		return TokenInfo{}, err
	}
	info := TokenInfo{Text: event.Secret(t.text), Expires: t.expires}
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(t.text, claims); err == nil {
		info.Claims = claims
	}
	return info, nil
}
