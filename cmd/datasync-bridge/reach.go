package main

import (
	"context"
	"strings"

	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web/view"
)

// lastAlarm is the newest alarm to a notifier that was or is to be sent. An
// incident's row says whom it was planned to tell; only this says who got it.
// The deliveries come newest first.
func lastAlarm(deliveries []view.Delivery, notifier string) (view.Delivery, bool) {
	for _, d := range deliveries {
		if d.Notifier == notifier && incident.DeliveryKind(d.Kind).Alarms() && d.State != string(incident.Dropped) {
			return d, true
		}
	}
	return view.Delivery{}, false
}

// reached names the notifiers of an incident, and says of each whose last
// alarm has not arrived that it has not.
func reached(told []view.Telling, deliveries []view.Delivery) string {
	names := make([]string, 0, len(told))
	for _, t := range told {
		name := t.Notifier
		if last, ok := lastAlarm(deliveries, name); ok {
			switch incident.DeliveryState(last.State) {
			case incident.Dead:
				name += " (failed)"
			case incident.Waiting, incident.Sending:
				name += " (waiting)"
			}
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// incidentRow is an incident beside whom its alarms reached.
type incidentRow struct {
	incident.Incident
	reached string
}

func incidentRows(s *sqlite.Store, ctx context.Context, f incident.Filter) ([]incidentRow, error) {
	found, err := s.Incidents(ctx, f)
	if err != nil {
		return nil, err
	}
	rows := make([]incidentRow, 0, len(found))
	for _, i := range found {
		sent, err := s.Deliveries(ctx, incident.Filter{Incident: i.ID, Limit: 500})
		if err != nil {
			return nil, err
		}
		rows = append(rows, incidentRow{i, reached(view.OfIncident(i).Told, view.Each(sent, view.OfDelivery))})
	}
	return rows, nil
}
