package remediation

import (
	"math/big"
	"regexp"
	"strings"
)

// decimalForm is a plain decimal: no exponent, which could name a number of
// any size in a few bytes.
var decimalForm = regexp.MustCompile(`^([+-]?)(\d{1,30})(?:\.(\d{0,15}))?$`)

// decimal returns an amount without signs and zeros that say nothing ("1250.50"
// is "1250.5"), and whether the text is one.
func decimal(text string) (string, bool) {
	m := decimalForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return "", false
	}
	whole, rest := strings.TrimLeft(m[2], "0"), strings.TrimRight(m[3], "0")
	if whole == "" {
		whole = "0"
	}
	if rest != "" {
		whole += "." + rest
	}
	if m[1] == "-" && whole != "0" {
		whole = "-" + whole
	}
	return whole, true
}

// above reports whether a is more than b, both in the form of decimal.
func above(a, b string) bool {
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	return okX && okY && x.Cmp(y) > 0
}

// Money reports whether a document moves money, by its type or by its name: it
// is approved one by one, and only with its amount known.
func Money(documentType, name string) bool {
	if policies[normal(documentType)].money {
		return true
	}
	name = strings.ToLower(name)
	for _, word := range []string{"invoice", "credit", "debit", "payment", "remittance"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// normal is a document type as the tables spell it.
func normal(documentType string) string { return strings.ToUpper(strings.TrimSpace(documentType)) }
