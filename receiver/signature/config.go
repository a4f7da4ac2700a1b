package signature

import (
	"time"

	"datasync-bridge/event"
)

// Config is a source's verify block. A preset (Scheme) fills every field that
// the file leaves out, key by key.
type Config struct {
	// Scheme is a preset's name, custom, or none.
	Scheme string `koanf:"scheme"`
	// Unauthenticated must be true beside scheme none.
	Unauthenticated bool      `koanf:"unauthenticated"`
	Secrets         []Secret  `koanf:"secrets"`
	Signature       Header    `koanf:"signature"`
	Timestamp       Timestamp `koanf:"timestamp"`
	// Signed is the signed text: tokens {body} {timestamp} {id} {url} and literals.
	Signed []string `koanf:"signed"`
	// URL is what {url} stands for; default public_url + path.
	URL string `koanf:"url" expand:"true"`
	ID  ID     `koanf:"id"`
}

// Secret is one live key; any match wins.
type Secret struct {
	ID    string       `koanf:"id"`
	Value event.Secret `koanf:"value"`
	// Encoding turns the text into key bytes: utf8 (default), base64, hex, whsec.
	Encoding string `koanf:"encoding"`
	// NotAfter ends the key's life; zero is never.
	NotAfter time.Time `koanf:"not_after"`
}

// Header says where signatures stand and how they are written. Pointers tell
// an explicit "" (which overrides a preset) from a missing key.
type Header struct {
	Header        *string `koanf:"header"`
	Prefix        *string `koanf:"prefix"`
	Encoding      *string `koanf:"encoding"` // hex or base64
	ListSeparator *string `koanf:"list_separator"`
	// Key picks the pairs of a "t=…,v1=…" header.
	Key *string `koanf:"key"`
}

// Timestamp says where the signed time stands.
type Timestamp struct {
	Header    *string        `koanf:"header"`
	Key       *string        `koanf:"key"`
	Format    *string        `koanf:"format"` // unix, unix_ms, rfc3339
	Tolerance *time.Duration `koanf:"tolerance"`
}

// ID says where the sender's id stands (dedup, and {id}).
type ID struct {
	Header   *string  `koanf:"header"`
	Path     *string  `koanf:"path"`
	Unsigned *bool    `koanf:"unsigned"`
	Paths    []string `koanf:"paths"`
}
