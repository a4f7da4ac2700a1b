package event

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var durationPart = regexp.MustCompile(`^(\d+(?:\.\d+)?)(w|d|h|ms|m|s|us|µs|ns)`)

// ParseDuration reads durations as configuration spells them: Go's units plus
// d (24 h) and w (7 d), such as "90d" or "1h30m". A bare number is refused,
// because 5 could be anything, and so is a negative one.
func ParseDuration(text string) (time.Duration, error) {
	rest := strings.TrimSpace(text)
	if rest == "0" {
		return 0, nil
	}
	if strings.HasPrefix(rest, "-") {
		return 0, fmt.Errorf("%q is negative", text)
	}
	if rest == "" {
		return 0, errors.New("empty duration")
	}
	var total float64
	for rest != "" {
		part := durationPart.FindStringSubmatch(rest)
		if part == nil {
			return 0, fmt.Errorf("%q is no duration; write a number with a unit, such as 30s, 15m, 4h, 7d", text)
		}
		n, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no duration: %w", text, err)
		}
		total += n * float64(unit(part[2]))
		rest = rest[len(part[0]):]
	}
	if total > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is longer than the bridge can count", text)
	}
	return time.Duration(total), nil
}

func unit(name string) time.Duration {
	switch name {
	case "w":
		return 7 * 24 * time.Hour
	case "d":
		return 24 * time.Hour
	}
	d, _ := time.ParseDuration("1" + name)
	return d
}

// Span is a duration that may be "never". Its zero value is "not set".
type Span time.Duration

// Never is the Span that does not end.
const Never Span = -1

// UnmarshalText reads a duration or "never".
func (s *Span) UnmarshalText(text []byte) error {
	if string(text) == "never" {
		*s = Never
		return nil
	}
	d, err := ParseDuration(string(text))
	*s = Span(d)
	return err
}

// Ends returns the duration and whether it ends at all.
func (s Span) Ends() (time.Duration, bool) { return time.Duration(s), s != Never }

// MarshalText writes what UnmarshalText reads.
func (s Span) MarshalText() ([]byte, error) {
	if d, ends := s.Ends(); ends {
		return []byte(d.String()), nil
	}
	return []byte("never"), nil
}
