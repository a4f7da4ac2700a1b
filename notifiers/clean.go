package notifiers

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// maxMarks is how many combining marks one letter may carry: enough for every
// script in use, too few to paint over the lines around it.
const maxMarks = 3

// maxLink bounds a printed link: far above a console's addresses, far below
// what would crowd the rest out of a message.
const maxLink = 500

// Clean makes text from outside safe to print on one line: no control, bidi or
// zero-width characters, white space as single blanks, and at most limit runes,
// the last of which is … where something was cut. It does not escape: what
// needs escaping differs by medium.
func Clean(text string, limit int) string {
	var kept []rune
	gap, marks := false, 0
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			gap = len(kept) > 0
			continue
		case hidden(r):
			continue
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks > maxMarks {
				continue
			}
		default:
			marks = 0
		}
		if gap {
			kept = append(kept, ' ')
			gap = false
		}
		kept = append(kept, r)
		if len(kept) > limit {
			break
		}
	}
	return cut(kept, limit)
}

// Cut shortens text to at most limit runes, the last of which is then ….
func Cut(text string, limit int) string {
	if len(text) <= limit { // bytes are never fewer than runes
		return text
	}
	return cut([]rune(text), limit)
}

func cut(runes []rune, limit int) string {
	if len(runes) <= limit {
		return string(runes)
	}
	if limit <= 0 {
		return ""
	}
	return strings.TrimRight(string(runes[:limit-1]), " ") + "…"
}

// hidden reports whether a rune shows nothing by itself but may change what is
// seen around it. unicode.Cf holds the bidi marks and overrides, the zero-width
// characters, soft hyphens and tags; the rest are letters and selectors that
// are blank by design.
func hidden(r rune) bool {
	switch {
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Variation_Selector):
		return true
	case r == 0x034F, r == 0x115F, r == 0x1160, r == 0x2800, r == 0x3164, r == 0xFFA0:
		return true
	}
	return false
}

// Linkable reports whether an address may be printed as a link: https, one of
// the allowed hosts, no user name, the usual port, and nothing that a medium
// could read as markup.
func (s Style) Linkable(address string) bool {
	if len(address) > maxLink || strings.ContainsAny(address, "<>|\"'` \\") || Clean(address, len(address)) != address {
		return false
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return false
	}
	if port := u.Port(); port != "" && port != "443" {
		return false
	}
	return slices.ContainsFunc(s.LinkHosts, func(host string) bool {
		return strings.EqualFold(host, u.Hostname())
	})
}
