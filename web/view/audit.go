package view

import "datasync-bridge/routing/incident"

// Deed is what a person did outside the bridge's own doing, to be recorded.
type Deed struct {
	Action    string `json:"action"`
	Subject   string `json:"subject"`
	Why       string `json:"why,omitempty"`
	Incident  string `json:"incident,omitempty"`
	Event     string `json:"event,omitempty"`
	Run       string `json:"run,omitempty"`
	Key       string `json:"key,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	Result    string `json:"result,omitempty"`
}

// OfDeed gives the form of what is to be recorded.
func OfDeed(a incident.Audit) Deed {
	return Deed{a.Action, a.Subject, a.Why, a.Incident, a.Event, a.Run, a.Key, a.RequestID, a.Result}
}

// OfAudit gives the form of a line of the record. It is the very form that is
// hashed, so that whoever exports it can check the chain elsewhere.
func OfAudit(a incident.Audit) incident.Audit {
	a.At = a.At.UTC()
	return a
}
