package outbound

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestDialAsksBeforeItConnects(t *testing.T) {
	// Nothing is sent: a socket that may not be connected is closed again.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if conn, err := dial(ctx, "tcp", "169.254.169.254:80"); !errors.Is(err, ErrRefused) {
		t.Errorf("connection %v, error %v, want ErrRefused", conn, err)
	}
}

func TestDialledAddressIsJudgedAfterResolution(t *testing.T) {
	for _, tt := range []struct {
		name     string
		resolved string
		mustLoop bool
		ok       bool
	}{
		{"a public address", "93.184.216.34:443", false, true},
		{"a private address", "10.0.0.7:443", false, true},
		{"a name rebound to metadata", "169.254.169.254:443", false, false},
		{"the same, mapped", "[::ffff:169.254.169.254]:443", false, false},
		{"link-local with a zone", "[fe80::1%eth0]:443", false, false},
		{"localhost that is loopback", "127.0.0.1:80", true, true},
		{"localhost that is not", "93.184.216.34:80", true, false},
		{"no address", "nonsense", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := judge(tt.resolved, tt.mustLoop)
			if (err == nil) != tt.ok || (err != nil && !errors.Is(err, ErrRefused)) {
				t.Errorf("judge(%q) = %v, want allowed %v", tt.resolved, err, tt.ok)
			}
		})
	}
}
