package datasync

import (
	"strconv"
	"strings"
)

const (
	maxDecimal  = 64 // bytes
	maxExponent = 40
)

// Decimal returns a number in the one plain spelling that it has: no exponent,
// no plus, no zeros that say nothing ("12000.00" is "12000", "1.5e3" is "1500",
// "-0.0" is "0"). It works on digits, so no digit is lost however long the
// number. Text that is no such number ("1,250.00", "12 USD", "NaN"), or one of
// more than 64 bytes or with an exponent beyond 40, is refused.
func Decimal(text string) (plain string, ok bool) {
	if text == "" || len(text) > maxDecimal {
		return "", false
	}
	text, negative := strings.CutPrefix(text, "-")
	if !negative {
		text = strings.TrimPrefix(text, "+")
	}
	exponent := 0
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		n, err := strconv.Atoi(text[at+1:])
		if err != nil || n < -maxExponent || n > maxExponent {
			return "", false
		}
		text, exponent = text[:at], n
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return "", false
	}
	// The point stands behind this many digits.
	digits, point := whole+fraction, len(whole)+exponent
	if point <= 0 {
		digits, point = strings.Repeat("0", 1-point)+digits, 1
	}
	if point > len(digits) {
		digits += strings.Repeat("0", point-len(digits))
	}
	whole, fraction = strings.TrimLeft(digits[:point], "0"), strings.TrimRight(digits[point:], "0")
	plain = firstOf(whole, "0")
	if fraction != "" {
		plain += "." + fraction
	}
	if negative && plain != "0" {
		plain = "-" + plain
	}
	return plain, true
}
