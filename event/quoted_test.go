package event

import (
	"errors"
	"fmt"
	"testing"
)

func TestALogLeavesOutWhatAnErrorQuotes(t *testing.T) {
	far := Quoted("no such partner: ACME")
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "plain"},
		{far, "(withheld)"},
		{fmt.Errorf("status 400: %w", far), "status 400: (withheld)"},
		{fmt.Errorf("a: %w", fmt.Errorf("b: %w", far)), "a: b: (withheld)"},
		{errors.Join(errors.New("one"), fmt.Errorf("two: %w", far)), "one\ntwo: (withheld)"},
		{fmt.Errorf("twice: %w, %w", far, far), "twice: (withheld), (withheld)"},
	} {
		if got := Unquoted(tt.err); got != tt.want {
			t.Errorf("%v is logged as %q, want %q", tt.err, got, tt.want)
		}
	}
}
