package event

import "strings"

// Quoted is an error in the words of another system, which may repeat what it
// was sent. People are shown them; a log is not (see Unquoted).
type Quoted string

func (q Quoted) Error() string { return string(q) }

// Quotes implements Quoter.
func (q Quoted) Quotes() []string { return []string{string(q)} }

// Quoter is an error whose text holds words of another system, or what an event
// told: the parts that it returns.
type Quoter interface{ Quotes() []string }

// withheld stands for what a log leaves out.
const withheld = "(withheld)"

// Unquoted is an error's text without what it quotes, for logs.
func Unquoted(err error) string {
	text := err.Error()
	for _, quote := range quotesOf(err, nil) {
		if quote != "" {
			text = strings.ReplaceAll(text, quote, withheld)
		}
	}
	return text
}

// quotesOf walks all errors that one is made of, the outer first.
func quotesOf(err error, out []string) []string {
	if q, ok := err.(Quoter); ok {
		out = append(out, q.Quotes()...)
	}
	switch e := err.(type) { //nolint:errorlint // as errors.As does
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return quotesOf(inner, out)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if inner != nil {
				out = quotesOf(inner, out)
			}
		}
	}
	return out
}
