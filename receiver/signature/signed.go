package signature

import (
	"fmt"
	"slices"
	"strings"
)

// part is one piece of the signed text: a token, or a literal.
type part struct {
	token   token
	literal string
}

type token uint8

const (
	literal token = iota
	tokenBody
	tokenTimestamp
	tokenID
	tokenURL
)

var tokens = map[string]token{
	"{body}": tokenBody, "{timestamp}": tokenTimestamp, "{id}": tokenID, "{url}": tokenURL,
}

// compile splits the pieces as written into tokens and literals. Tokens may
// stand alone or inside a text: ["{timestamp}", ".", "{body}"] is "{timestamp}.{body}".
func compile(signed []string) ([]part, error) {
	var parts []part
	for _, rest := range signed {
		for rest != "" {
			from := strings.IndexByte(rest, '{')
			if from < 0 {
				parts = append(parts, part{literal: rest})
				break
			}
			if from > 0 {
				parts = append(parts, part{literal: rest[:from]})
			}
			to := strings.IndexByte(rest, '}')
			if to < from {
				return nil, fmt.Errorf("%q has a brace without its other half", rest)
			}
			t, known := tokens[rest[from:to+1]]
			if !known {
				return nil, fmt.Errorf("%q is no token; use {body}, {timestamp}, {id} or {url}", rest[from:to+1])
			}
			parts = append(parts, part{token: t})
			rest = rest[to+1:]
		}
	}
	return parts, nil
}

func has(parts []part, t token) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.token == t })
}
