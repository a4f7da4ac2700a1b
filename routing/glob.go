package routing

import "strings"

// glob is a pattern in which * stands for any run, also an empty one and also
// one with dots, and \* for a star. It matches the whole text.
type glob struct {
	// prefix and suffix are what stands before the first and after the last
	// star; middle is what stands between stars, in order.
	prefix string
	middle []string
	suffix string
}

// parseGlob returns the pattern, or nil and the plain text where it has no star.
func parseGlob(pattern string) (*glob, string) {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern) && pattern[i+1] == '*':
			part.WriteByte('*')
			i++
		case pattern[i] == '*':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(pattern[i])
		}
	}
	if len(parts) == 0 {
		return nil, part.String()
	}
	g := &glob{prefix: parts[0], suffix: part.String()}
	for _, m := range parts[1:] {
		if m != "" {
			g.middle = append(g.middle, m)
		}
	}
	return g, ""
}

func (g *glob) match(text string) bool {
	if len(text) < len(g.prefix)+len(g.suffix) ||
		!strings.HasPrefix(text, g.prefix) || !strings.HasSuffix(text, g.suffix) {
		return false
	}
	text = text[len(g.prefix) : len(text)-len(g.suffix)]
	// The leftmost place for each part leaves most room for the rest, so there
	// is nothing to go back to: time is linear in the text.
	for _, m := range g.middle {
		i := strings.Index(text, m)
		if i < 0 {
			return false
		}
		text = text[i+len(m):]
	}
	return true
}
