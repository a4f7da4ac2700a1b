package pagerduty

import (
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"datasync-bridge/notifiers"
)

// FuzzPagerDutyAnswers judges whatever PagerDuty, or something in its place, may answer:
// 202 alone is a success, and all else an error fit for a log.
func FuzzPagerDutyAnswers(f *testing.F) {
	for _, seed := range []string{
		``, `{"status":"success"}`, `{"message":"no","errors":["a","b"]}`, `{"message":{},"errors":"a"}`, `{"errors":[null,1]}`,
		`{"message":"x\r\ny","errors":["\u001b[31m"]}`, `null`, `[]`, `<html>` + strings.Repeat("x", 1000), "\xff\xfe",
	} {
		for _, status := range []int{202, 200, 400, 429, 500} {
			f.Add(status, seed, "1")
		}
	}
	f.Fuzz(func(t *testing.T, status int, text, after string) {
		if status < 100 || status > 999 {
			return
		}
		call := &notifiers.Call{Status: status, Header: http.Header{"Retry-After": {after}}, Body: []byte(text)}
		err := verdict(call, nil)
		switch {
		case (err == nil) != (status == http.StatusAccepted):
			t.Fatalf("%d %q: %v", status, text, err)
		case err == nil:
		case len(err.Error()) > 3000 || !utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), unicode.IsControl):
			t.Fatalf("%d %q: the error is not fit for a log: %q", status, text, err)
		}
	})
}
