package receiver

import (
	"crypto/sha256"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"datasync-bridge/receiver/mapping"
	"datasync-bridge/receiver/signature"

	"pgregory.net/rapid"
)

func probe(t testing.TB, body string) mapping.Probe {
	t.Helper()
	m, err := mapping.New(mapping.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Probe([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDedupKeyTakesTheFirstRuleThatYields(t *testing.T) {
	none := signature.ID{}
	for _, tt := range []struct {
		name    string
		id      signature.ID
		header  signature.Verified
		a, b    string
		same    bool
		foreign string // of a
	}{
		{"one id in two bodies", none, signature.Verified{}, `{"id":"1"}`, `{"id":"1","x":2}`, true, "1"},
		{"two ids", none, signature.Verified{}, `{"id":"1"}`, `{"id":"2"}`, false, "1"},
		{"a number is its text", none, signature.Verified{}, `{"id":9007199254740993}`, `{"id":9007199254740992}`, false, "9007199254740993"},
		{"a number and its text are one id", none, signature.Verified{}, `{"id":7}`, `{"id":"7"}`, true, "7"},
		{"null is absent", none, signature.Verified{}, `{"id":null,"a":1}`, `{"id":null,"a":2}`, false, ""},
		{"empty is absent", none, signature.Verified{}, `{"id":"","a":1}`, `{"id":"","a":2}`, false, ""},
		{"a boolean is absent", none, signature.Verified{}, `{"id":true,"a":1}`, `{"id":true,"a":2}`, false, ""},
		{"an object is absent", none, signature.Verified{}, `{"id":{},"a":1}`, `{"id":{},"a":2}`, false, ""},
		{"an array is absent", none, signature.Verified{}, `{"id":["1"],"a":1}`, `{"id":["1"],"a":2}`, false, ""},
		{"the first of two equal keys", none, signature.Verified{}, `{"id":"1","id":"2"}`, `{"id":"1","id":"3"}`, true, "1"},
		{"a signed header id wins", none, signature.Verified{SignedID: "h"}, `{"id":"1"}`, `{"id":"2"}`, true, "h"},
		{"an unsigned header id needs its body", signature.ID{Header: new("X-Id"), Path: new(""), Unsigned: new(true)}, signature.Verified{UnsignedID: "h"}, `{"id":"1"}`, `{"id":"2"}`, false, "h"},
		{"an unsigned header id yields to one in the signed body", signature.ID{Header: new("X-Id"), Unsigned: new(true)}, signature.Verified{UnsignedID: "h"}, `{"id":"1"}`, `{"id":"1","x":2}`, true, "1"},
		{"an id in a body that is said to prove nothing", signature.ID{Path: new("id"), Unsigned: new(true)}, signature.Verified{}, `{"id":"1"}`, `{"id":"1","x":2}`, false, "1"},
		{"a path of one's own", signature.ID{Path: new("n.k")}, signature.Verified{}, `{"id":"1","n":{"k":"z"}}`, `{"id":"2","n":{"k":"z"}}`, true, "z"},
		{"a composite", signature.ID{Path: new(""), Paths: []string{"a", "b"}}, signature.Verified{}, `{"id":"1","a":"x","b":1}`, `{"id":"2","a":"x","b":1}`, true, ""},
		{"a composite's parts do not run together", signature.ID{Path: new(""), Paths: []string{"a", "b"}}, signature.Verified{}, `{"a":"ab","b":"c"}`, `{"a":"a","b":"bc"}`, false, ""},
		{"a composite that lacks a part is none", signature.ID{Path: new(""), Paths: []string{"a", "b"}}, signature.Verified{}, `{"a":"x","z":1}`, `{"a":"x","z":2}`, false, ""},
		{"no id at all", none, signature.Verified{}, `{"a":1}`, `{"a":1}`, true, ""},
		{"no JSON at all", none, signature.Verified{}, `x`, `y`, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newIdentity(tt.id)
			a, foreign := i.dedupKey(tt.header, probe(t, tt.a), sha256.Sum256([]byte(tt.a)))
			b, _ := i.dedupKey(tt.header, probe(t, tt.b), sha256.Sum256([]byte(tt.b)))
			if (a == b) != tt.same {
				t.Errorf("same key: %v, want %v", a == b, tt.same)
			}
			if foreign != tt.foreign {
				t.Errorf("foreign id %q, want %q", foreign, tt.foreign)
			}
		})
	}
}

func TestHashedPartsNeverRunTogether(t *testing.T) {
	parts := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,3}`), 1, 4)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := parts.Draw(rt, "a"), parts.Draw(rt, "b")
		equal := strings.Join(a, "|") == strings.Join(b, "|")
		if (hashed(keyByID, a...) == hashed(keyByID, b...)) != equal {
			rt.Fatalf("%q and %q", a, b)
		}
		if hashed(keyByID, a...) == hashed(keyByComposite, a...) {
			rt.Fatalf("two ways gave one key for %q", a)
		}
	})
}

func TestClientIsTheRightmostUntrustedHop(t *testing.T) {
	trusted := newProxies([]string{"10.0.0.0/8", "192.0.2.1", "fd00::/8"})
	for _, tt := range []struct {
		name, peer string
		hops       []string
		want       string
	}{
		{"no proxy", "203.0.113.9", nil, "203.0.113.9"},
		{"a stranger's header is not read", "203.0.113.9", []string{"1.1.1.1"}, "203.0.113.9"},
		{"one proxy", "10.1.1.1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"what the client added stands left", "10.1.1.1", []string{"1.1.1.1, 198.51.100.7"}, "198.51.100.7"},
		{"two proxies in two headers", "10.1.1.1", []string{"1.1.1.1, 198.51.100.7", "192.0.2.1"}, "198.51.100.7"},
		{"all are proxies", "10.1.1.1", []string{"10.2.2.2"}, "10.2.2.2"},
		{"nonsense ends the walk", "10.1.1.1", []string{"198.51.100.7, what?"}, "10.1.1.1"},
		{"with ports", "10.1.1.1", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		{"IPv6", "fd00::1", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{"IPv4 written as IPv6", "::ffff:10.1.1.1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			peer := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(tt.peer), 1))
			if got := trusted.client(peer, tt.hops); got.String() != tt.want {
				t.Errorf("%v, want %s", got, tt.want)
			}
		})
	}
}

func TestFailureTableIsBoundedAndEndsWithTheMinute(t *testing.T) {
	f := newFailures(2)
	now := time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)
	at := netip.MustParseAddr("198.51.100.7")
	for want := range 2 {
		if over, _ := f.add(at, now); over {
			t.Errorf("over after %d", want+1)
		}
	}
	if over, until := f.add(at, now); !over || until != 30*time.Second {
		t.Errorf("over %v until %v, want true and 30s", over, until)
	}
	if over, _ := f.add(at, now.Add(30*time.Second)); over {
		t.Error("the next minute did not begin anew")
	}
	four := netip.MustParseAddr("10.0.0.0")
	for range 3 * maxAddresses {
		f.add(four, now.Add(time.Minute))
		four = four.Next()
	}
	if n := len(f.counts); n > maxAddresses+1 {
		t.Errorf("%d addresses are held", n)
	}
	f.add(netip.Addr{}, now) // an unknown peer is counted, not a crash
}

func TestLogTextIsEscapedAndShort(t *testing.T) {
	got := escaped("/a\n\x1b[31m\u202e\"" + strings.Repeat("x", 1000))
	if strings.ContainsAny(got, "\n\x1b\u202e") || len(got) > 200 {
		t.Errorf("%q", got)
	}
}
