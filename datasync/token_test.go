package datasync_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"datasync-bridge/datasync"
)

const crowd = 50

// together makes the calls of a crowd at once and returns how many failed.
func together(t *testing.T, c *datasync.Client) (failed int) {
	t.Helper()
	var (
		all sync.WaitGroup
		mu  sync.Mutex
	)
	for range crowd {
		all.Go(func() {
			if _, err := c.Run(t.Context(), "w", nil, "k"); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed++
			}
		})
	}
	all.Wait()
	return failed
}

// stagger holds the first call of each of a crowd until all have come, and
// answers each a little later than the one before, so that the last 401 comes
// long after the first renewal.
func stagger(n int, apart time.Duration) {
	if n <= crowd {
		time.Sleep(time.Second + time.Duration(n)*apart)
	}
}

// accepts answers 401 to every token but one.
func accepts(token string, apart time.Duration) *wire {
	return &wire{answer: func(n int, r *http.Request) (*http.Response, error) {
		stagger(n, apart)
		if r.Header.Get("Authorization") != "Bearer "+token {
			return reply(401, `{"error":{"message":"expired"}}`), nil
		}
		return reply(200, `{"run_id":"r"}`), nil
	}}
}

func TestFiftyConcurrentCallersMakeOneTokenRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := accepts("token-1", 0)
		w.token = func(n int) (int, string) {
			time.Sleep(2 * time.Second) // all of them come meanwhile
			return 200, fmt.Sprintf(`{"access_token":"token-%d","expires_in":3600}`, n)
		}
		if failed := together(t, w.client(datasync.Config{}, datasync.Options{})); failed != 0 || w.tokens != 1 {
			t.Errorf("%d token requests, %d calls failed, want 1 and 0", w.tokens, failed)
		}
	})
}

func TestTokenThatExpiresMidFlightCostsOneRequest(t *testing.T) {
	for _, apart := range []time.Duration{0, 10 * time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := accepts("token-2", apart)
			c := w.client(datasync.Config{}, datasync.Options{})
			if _, err := c.Token(t.Context()); err != nil || w.tokens != 1 {
				t.Fatal(err)
			}
			if failed := together(t, c); failed != 0 || w.tokens != 2 || len(w.calls) != 2*crowd {
				t.Errorf("%v apart: %d token requests, %d calls, %d failed, want 2, %d, 0", apart, w.tokens, len(w.calls), failed, 2*crowd)
			}
		})
	}
}

// Tokens that are made within a second can be the same text, which must not be
// taken for the same token.
func TestSuccessorWithTheSameTextCostsOneRequest(t *testing.T) {
	for _, apart := range []time.Duration{0, 10 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{answer: func(n int, _ *http.Request) (*http.Response, error) {
				stagger(n, apart)
				if n <= crowd {
					return reply(401, `{}`), nil
				}
				return reply(200, `{}`), nil
			}}
			w.token = func(int) (int, string) { return 200, `{"access_token":"same","expires_in":3600}` }
			if failed := together(t, w.client(datasync.Config{}, datasync.Options{})); failed != 0 || w.tokens != 2 {
				t.Errorf("%v apart: %d token requests, %d failed, want 2 and 0", apart, w.tokens, failed)
			}
		})
	}
}

func TestPlain401CostsOneRequest(t *testing.T) {
	for _, apart := range []time.Duration{0, 10 * time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := accepts("none", apart)
			c := w.client(datasync.Config{}, datasync.Options{})
			if failed := together(t, c); failed != crowd || w.tokens != 2 {
				t.Errorf("%v apart: %d token requests, %d failed, want 2 and %d", apart, w.tokens, failed, crowd)
			}
			if len(w.calls) > 2*crowd {
				t.Errorf("%v apart: %d calls of %d callers, want two each at most", apart, len(w.calls), crowd)
			}
		})
	}
	t.Run("and the next ones are tried again in a while", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := accepts("token-3", 0)
			c := w.client(datasync.Config{}, datasync.Options{})
			for range 5 {
				if failed := together(t, c); failed != crowd || w.tokens != 2 {
					t.Errorf("%d token requests within a moment, want 2", w.tokens)
				}
			}
			time.Sleep(6 * time.Second)
			if failed := together(t, c); failed != 0 || w.tokens != 3 {
				t.Errorf("%d token requests, %d failed, want 3 and 0", w.tokens, failed)
			}
		})
	})
}

func TestLifetimeShorterThanTheMarginCostsOneRequest(t *testing.T) {
	for _, lifetime := range []string{"30", "1", "0.001", "0", "-5"} {
		synctest.Test(t, func(t *testing.T) {
			w := accepts("token-1", 0)
			w.token = func(n int) (int, string) {
				time.Sleep(100 * time.Millisecond)
				return 200, fmt.Sprintf(`{"access_token":"token-%d","expires_in":%s}`, n, lifetime)
			}
			if failed := together(t, w.client(datasync.Config{}, datasync.Options{})); failed != 0 || w.tokens != 1 {
				t.Errorf("lifetime %s: %d token requests, %d failed, want 1 and 0", lifetime, w.tokens, failed)
			}
		})
	}
	t.Run("also where callers come one by one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{answer: func(int, *http.Request) (*http.Response, error) { return reply(200, `{}`), nil }}
			w.token = func(int) (int, string) { return 200, `{"access_token":"a","expires_in":0.001}` }
			c := w.client(datasync.Config{}, datasync.Options{})
			for range crowd {
				if _, err := c.Run(t.Context(), "w", nil, "k"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if w.tokens != 1 {
				t.Errorf("%d token requests in half a second, want 1", w.tokens)
			}
		})
	})
	t.Run("also where the token is over on arrival", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := accepts("token-2", 0)
			w.token = func(n int) (int, string) {
				return 200, fmt.Sprintf(`{"access_token":"token-%d","expires_in":1}`, n)
			}
			if failed := together(t, w.client(datasync.Config{}, datasync.Options{})); failed != 0 || w.tokens != 2 {
				t.Errorf("%d token requests, %d failed, want 2 and 0", w.tokens, failed)
			}
		})
	})
}

func TestTokenTellsOfItself(t *testing.T) {
	now := time.Unix(1_800_000_000, 0).UTC()
	claims := jwt.MapClaims{"sub": "id", "exp": now.Unix() + 3600, "scope": "run"}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, answer string
		text         string
		claims       bool
		expires      time.Time
	}{
		{"by its claims", `{"access_token":"` + signed + `"}`, signed, true, now.Add(time.Hour)},
		{"by the answer first", `{"access_token":"` + signed + `","expires_in":600}`, signed, true, now.Add(10 * time.Minute)},
		{"an opaque one by the answer", `{"access_token":"opaque","expires_in":600}`, "opaque", false, now.Add(10 * time.Minute)},
		{"an opaque one not at all", `{"access_token":"opaque"}`, "opaque", false, time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := pages(t)
			w.token = func(int) (int, string) { return 200, tt.answer }
			info, err := w.client(datasync.Config{}, datasync.Options{Now: func() time.Time { return now }}).Token(t.Context())
			if err != nil || info.Text.Reveal() != tt.text || !info.Expires.Equal(tt.expires) || (info.Claims != nil) != tt.claims {
				t.Fatalf("%+v, error %v, want expiry %v", info, err, tt.expires)
			}
			if tt.claims && (info.Claims["scope"] != "run" || info.Claims["exp"] != json.Number("1800003600")) {
				t.Errorf("claims %v", info.Claims)
			}
			if shown := fmt.Sprintf("%+v", info); strings.Contains(shown, tt.text) {
				t.Errorf("the token is in %q", shown)
			}
		})
	}
	t.Run("refused credentials are an error", func(t *testing.T) {
		w := pages(t)
		w.token = func(int) (int, string) { return 401, `{}` }
		_, err := w.client(datasync.Config{}, datasync.Options{}).Token(t.Context())
		if e := kindOf(t, err); e.Kind != datasync.Token {
			t.Errorf("%+v", e)
		}
	})
}
