package main

import "testing"

func TestACellOfACSVIsNoFormula(t *testing.T) {
	for text, want := range map[string]string{
		"-12.50": "-12.50", "900": "900", "txn_1": "txn_1", "": "",
		"=1+1": "'=1+1", "+1 555 0100": "'+1 555 0100", "@SUM(A1)": "'@SUM(A1)", "-2+3": "'-2+3", "-12.5.0": "'-12.5.0",
		" =1+1": "' =1+1", "\t=1+1": "' =1+1", "\x1b=1+1": "'=1+1", "\u202e=1": "'=1",
	} {
		if got := harmless([]string{text})[0]; got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
