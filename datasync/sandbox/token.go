package sandbox

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Scopes that a token may hold. That there are scopes is documented (a missing
// one is a 4xx); their names are assumed.
const (
	ScopePartnersRead  = "partners:read"
	ScopePartnersWrite = "partners:write"
	ScopeWebhooks      = "webhooks:write"
	ScopeAutomations   = "automations:run"
	ScopeTransactions  = "transactions:read"
)

// AllScopes returns every scope there is.
func AllScopes() []string {
	return []string{ScopePartnersRead, ScopePartnersWrite, ScopeWebhooks, ScopeAutomations, ScopeTransactions}
}

// claims are what a token says.
type claims struct {
	jwt.RegisteredClaims
	Scope       string `json:"scope"` // separated by spaces
	Environment string `json:"environment"`
	Generation  int    `json:"generation"`
}

// ExpireTokens makes every token issued so far expired, whatever it says of
// itself; new ones are issued as ever.
func (s *Sandbox) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
}

func (s *Sandbox) tokenGeneration() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation
}

func (s *Sandbox) postToken(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if !s.read(w, r, &in) {
		return
	}
	if in.ID != s.o.ClientID || in.Secret != s.o.ClientSecret.Reveal() {
		s.refuse(w, http.StatusUnauthorized, "invalid_client", "unknown client_id or wrong client_secret")
		return
	}
	now, scope := s.o.Clock(), strings.Join(s.o.Scopes, " ")
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: "datasync-sandbox", Subject: in.ID,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(s.o.TokenLifetime)),
		},
		Scope: scope, Environment: string(s.o.Environment), Generation: s.tokenGeneration(),
	}).SignedString(s.key)
	if err != nil {
		s.refuse(w, http.StatusInternalServerError, "server_error", "the token cannot be signed")
		return
	}
	s.answer(w, http.StatusOK, map[string]any{
		"access_token": text, "token_type": "Bearer", "expires_in": int(s.o.TokenLifetime.Seconds()), "scope": scope,
	})
}

// authorized lets through who bears a token of this world that has not expired
// and holds the scope.
func (s *Sandbox) authorized(scope string, next http.HandlerFunc) http.Handler {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(s.o.Clock))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !bearer {
			s.refuse(w, http.StatusUnauthorized, "missing_token", "send Authorization: Bearer with a token of POST /auth/token")
			return
		}
		var said claims
		_, err := parser.ParseWithClaims(text, &said, func(*jwt.Token) (any, error) { return s.key, nil })
		switch {
		case errors.Is(err, jwt.ErrTokenExpired), err == nil && said.Generation < s.tokenGeneration():
			s.refuse(w, http.StatusUnauthorized, "expired_token", "the token has expired")
		case err != nil:
			s.refuse(w, http.StatusUnauthorized, "invalid_token", "the token is not one of this Datasync")
		case !slices.Contains(strings.Fields(said.Scope), scope):
			s.refuse(w, http.StatusForbidden, "missing_scope", "the client lacks the scope "+scope)
		default:
			next(w, r)
		}
	})
}
