package view

import (
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// What "state" may be in a list of each kind.
var (
	EventStates    = Words(event.Pending, event.Planned, event.Parked, event.Purged)
	IncidentStates = Words(incident.Open, incident.Resolved)
	DeliveryStates = Words(incident.Waiting, incident.Sending, incident.Sent, incident.Dead, incident.Dropped, incident.Superseded)
	RunStates      = Words(incident.RunProposed, incident.RunAwaiting, incident.RunQueued, incident.RunStarted, incident.RunDone,
		incident.RunFailed, incident.RunUnknown, incident.RunRefused, incident.RunDry)
)

// AuditActions are what "action" may be of a line of the record of deeds.
var AuditActions = []string{
	incident.AuditAcknowledged, incident.AuditResolved, incident.AuditRetried, incident.AuditProposed, incident.AuditAsked,
	incident.AuditApproved, incident.AuditNotApproved, incident.AuditDenied, incident.AuditStarted, incident.AuditEnded,
	incident.AuditRefused, incident.AuditCleared, incident.AuditStopped, incident.AuditResumed, incident.AuditExported,
	incident.AuditCalled, incident.AuditSilenced, incident.AuditUnsilenced, incident.AuditReloaded, incident.AuditPurged,
}

// Words are the spellings of a few states or kinds.
func Words[S ~string](all ...S) []string {
	out := make([]string, len(all))
	for i, word := range all {
		out[i] = string(word)
	}
	return out
}
