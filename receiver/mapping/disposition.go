package mapping

import (
	"strings"

	"datasync-bridge/event"
)

// verdict is what an MDN's disposition says of the message.
type verdict uint8

const (
	unstated verdict = iota
	positive
	warned // accepted, with a warning: RFC 4130 §7.5 counts it as processed
	negative
)

// disposition reads "automatic-action/MDN-sent-automatically; processed/error:
// decryption-failed" without regard to case or folded lines. The cause is the
// error.category that the modifier names, "" for none.
func disposition(text string) (v verdict, cause event.Class) {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	if _, after, moded := strings.Cut(text, ";"); moded {
		text = after
	}
	kind, modifiers, _ := strings.Cut(text, "/")
	kind = strings.TrimSpace(kind)
	switch {
	case kind == "processed":
		v = positive
	case strings.HasPrefix(kind, "failed"), strings.HasPrefix(kind, "error"):
		v, cause = negative, causeOf(modifiers)
	}
	for modifier := range strings.SplitSeq(modifiers, ",") {
		modifier = strings.TrimSpace(modifier)
		switch {
		case strings.HasPrefix(modifier, "error"), strings.HasPrefix(modifier, "failure"):
			return negative, causeOf(modifier)
		case strings.HasPrefix(modifier, "warning") && v == positive:
			v = warned
		}
	}
	return v, cause
}

// causes maps the modifiers of RFC 4130 §7.5 to what went wrong.
var causes = []struct {
	word  string
	class event.Class
}{
	{"decryption-failed", event.Certificate},
	{"authentication-failed", event.Certificate},
	{"integrity-check-failed", event.Integrity},
	{"decompression-failed", event.Configuration},
	{"insufficient-message-security", event.Configuration},
	{"unsupported", event.Configuration},
	{"unexpected-processing-error", event.PartnerFault},
	{"unknown-trading-", event.PartnerFault},
	{"sender-equals-receiver", event.Configuration},
}

func causeOf(modifier string) event.Class {
	for _, c := range causes {
		if strings.Contains(modifier, c.word) {
			return c.class
		}
	}
	return ""
}
