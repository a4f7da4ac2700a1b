package notifiers_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/notifiertest"

	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		limit      int
		want       string
	}{
		{"plain text stays", "Harrowgate Grocers", 80, "Harrowgate Grocers"},
		{"letters of any script stay", "Čapek Ζωή 株式会社 🚚", 80, "Čapek Ζωή 株式会社 🚚"},
		{"lines become one", " a\r\n\tb\u2028c\u00A0d ", 80, "a b c d"},
		{"control characters go", "a\x00\x1b[31mb\x7f\u009b", 80, "a[31mb"},
		{"bidi overrides go", "\u202Eevil\u202C \u2066x\u2069\u200F", 80, "evil x"},
		{"zero-width characters go", "a\u200Bb\u200D\uFEFFc\u00ADd", 80, "abcd"},
		{"blank letters go", "a\u3164\u2800\u115Fb", 80, "ab"},
		{"tags go", "a\U000E0041b", 80, "ab"},
		{"marks cannot pile up", "a" + strings.Repeat("\u0301", 9), 80, "a\u0301\u0301\u0301"},
		{"a broken byte shows as such", "a\xffb", 80, "a\uFFFDb"},
		{"cut by runes", "äöüß", 3, "äö…"},
		{"not cut when it fits", "äöü", 3, "äöü"},
		{"no blank before the cut", "ab cdef", 4, "ab…"},
		{"no room", "abc", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := notifiers.Clean(tt.text, tt.limit); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCleanHoldsForAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, limit := rapid.String().Draw(t, "text"), rapid.IntRange(0, 50).Draw(t, "limit")
		got := notifiers.Clean(text, limit)
		if n := utf8.RuneCountInString(got); n > limit {
			t.Fatalf("%d runes, limit %d", n, limit)
		}
		if r, bad := notifiertest.Concealed(got); bad || strings.Contains(got, "\n") {
			t.Fatalf("%U is left in %q", r, got)
		}
		if again := notifiers.Clean(got, limit); again != got {
			t.Fatalf("cleaning twice changes %q to %q", got, again)
		}
	})
}

func TestRouting31_OnlyHTTPSToAllowedHostsIsALink(t *testing.T) {
	style := notifiers.Style{LinkHosts: []string{"console.datasync.com"}}
	for address, want := range map[string]bool{
		"https://console.datasync.com/t/1":              true,
		"https://CONSOLE.datasync.com:443/t?x=1&y=2":    true,
		"http://console.datasync.com/t/1":               false,
		"https://evil.example/":                         false,
		"https://console.datasync.com.evil.example/":    false,
		"https://console.datasync.com@evil.example/":    false,
		"https://user@console.datasync.com/":            false,
		"https://console.datasync.com:8443/":            false,
		"javascript:alert(1)":                           false,
		"//console.datasync.com/":                       false,
		"https://console.datasync.com/a|<!channel>":     false,
		"https://console.datasync.com/a>b":              false,
		"https://console.datasync.com/a b":              false,
		"https://console.datasync.com/\u202Ea":          false,
		"https://console.datasync.com\\@evil.example/":  false,
		"https://console.datasync.com/" + longText(600): false,
		"": false,
	} {
		if got := style.Linkable(address); got != want {
			t.Errorf("%.80q: %t, want %t", address, got, want)
		}
	}
	if (notifiers.Style{}).Linkable("https://console.datasync.com/") {
		t.Error("without allowed hosts nothing is a link")
	}
}

func longText(n int) string { return strings.Repeat("a", n) }

func TestWhen(t *testing.T) {
	chicago := notifiers.Style{Location: notifiertest.Chicago}
	zone := func(name string) notifiers.Style {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return notifiers.Style{Location: loc}
	}
	now := time.Date(2026, 3, 10, 14, 46, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		style notifiers.Style
		at    time.Time
		want  string
	}{
		{"today", chicago, now.Add(4*time.Hour + 14*time.Minute), "14:00 CT"},
		{"the zone decides what today is", chicago, time.Date(2026, 3, 11, 4, 59, 0, 0, time.UTC), "23:59 CT"},
		{"tomorrow says its day", chicago, time.Date(2026, 3, 11, 5, 0, 0, 0, time.UTC), "Wed 11 Mar 00:00 CT"},
		{"another year says it", chicago, time.Date(2027, 1, 5, 18, 0, 0, 0, time.UTC), "Tue 5 Jan 2027 12:00 CT"},
		{"winter and summer share a name", chicago, time.Date(2026, 1, 5, 18, 0, 0, 0, time.UTC), "Mon 5 Jan 12:00 CT"},
		{"no zone is UTC", notifiers.Style{}, now, "14:46 UTC"},
		{"Europe keeps its abbreviation", zone("Europe/Berlin"), now, "15:46 CET"},
		{"China's CST is not Chicago's", zone("Asia/Shanghai"), now, "22:46 CST"},
		{"a zone without a name", zone("America/Sao_Paulo"), now, "11:46 UTC-03"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.style.When(tt.at, now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 45 * time.Second: "45 s", 90 * time.Second: "1 min", time.Hour: "1 h",
		2*time.Hour + 5*time.Minute + 59*time.Second: "2 h 5 min", 47 * time.Hour: "47 h",
		72 * time.Hour: "3 d", 75*time.Hour + 30*time.Minute: "3 d 3 h", -5 * time.Minute: "5 min",
	} {
		if got := notifiers.Span(d); got != want {
			t.Errorf("Span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestAddressProblem(t *testing.T) {
	for address, good := range map[string]bool{
		"https://slack.com/api/": true, "http://127.0.0.1:80/x": true, "http://localhost:1": true, "http://[::1]:9/": true,
		"http://slack.com/": false, "http://127.0.0.1.evil.example/": false, "ftp://x": false, "": false,
		"https://": false, "https://user:pw@x.example/": false, "https://x.example/?token=1": false, "https://x.example/#a": false,
	} {
		if problem := notifiers.AddressProblem(address); (problem == "") != good {
			t.Errorf("%q: problem %q", address, problem)
		}
	}
}
