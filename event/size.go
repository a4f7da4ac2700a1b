package event

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Size is a number of bytes, written as 1MiB, 64KiB or 1000B.
type Size int64

var (
	sizeText  = regexp.MustCompile(`^(\d+)\s*([KMG]i?)?B$`)
	sizeUnits = map[string]int64{
		"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30,
	}
)

// UnmarshalText reads a whole number with a unit. A bare number is refused,
// because 64 could be anything.
func (s *Size) UnmarshalText(text []byte) error {
	parts := sizeText.FindSubmatch(text)
	if parts == nil {
		return fmt.Errorf("%q is no size; write a number with a unit, such as 64KiB, 1MiB or 1000B", text)
	}
	n, err := strconv.ParseInt(string(parts[1]), 10, 64)
	unit := sizeUnits[string(parts[2])]
	if err != nil || n > math.MaxInt64/unit {
		return fmt.Errorf("%q is more than the bridge can count", text)
	}
	*s = Size(n * unit)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	for _, unit := range []string{"Gi", "Mi", "Ki"} {
		if n := sizeUnits[unit]; s != 0 && int64(s)%n == 0 {
			return strconv.FormatInt(int64(s)/n, 10) + unit + "B"
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}
