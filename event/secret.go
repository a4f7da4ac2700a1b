package event

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is text that must never be seen. Every way of printing it gives
// "<redacted>"; Reveal gives the text to the one call that needs it.
type Secret string

const redacted = "<redacted>"

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string { return redacted }

// Format keeps every verb from showing it, %d and %x too.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText keeps JSON and YAML from showing it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue keeps slog from showing it.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
