package remediation

import "testing"

func TestRouting36AChangeElsewhereVoidsNoApproval(t *testing.T) {
	hash := func(client string, cfgs ...Config) map[string]string {
		t.Helper()
		got, err := EntryHashes(cfgs, client)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	resend, other := Config{Name: "resend", Workflow: "wf1"}, Config{Name: "other", Workflow: "wf2"}
	before := hash("client", resend, other)
	changed := other
	changed.Workflow = "wf3"
	after := hash("client", changed, resend)
	if before["resend"] != after["resend"] {
		t.Error("a change of another remediation changes the hash of this one")
	}
	if before["other"] == after["other"] {
		t.Error("a changed entry keeps its hash")
	}
	if before["resend"] == hash("another client", resend)["resend"] {
		t.Error("another API client keeps the hash")
	}
	entry := func(name string) string { return after[name] }
	config := func() string { return "whole" }
	if inForce(entry, config, "removed") != "" || inForce(nil, config, "resend") != "whole" {
		t.Error("a removed entry must have no hash, and without entries the whole configuration counts")
	}
}
