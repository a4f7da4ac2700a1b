package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web/view"
)

func (c *cli) eventsCommand() *cobra.Command {
	cmd := listing[event.Stored, view.Event]{
		name: "events", one: "ev_0000000000000", short: "List, show and purge received events",
		states:  view.EventStates,
		columns: []string{"ID", "RECEIVED", "TYPE", "STATUS", "STATE", "INCIDENT", "AGAIN"},
		row: func(e event.Stored) []string {
			return []string{e.ID, clock(e.ReceivedAt), e.Type, string(e.Status), string(e.State), e.Incident, times(e.Duplicates)}
		},
		of:   view.OfEvent,
		list: (*sqlite.Store).Events,
		show: func(s *sqlite.Store, ctx context.Context, id string) (any, error) {
			e, err := s.Event(ctx, id)
			return view.OfEventInFull(e), err
		},
		print: printEvent,
	}.command(c)
	cmd.AddCommand(c.purgeCommand())
	return cmd
}

func (c *cli) incidentsCommand() *cobra.Command {
	cmd := listing[incidentRow, view.Incident]{
		name: "incidents", one: "in_0000000000000", short: "List, show, acknowledge and resolve incidents",
		states:  view.IncidentStates,
		columns: []string{"ID", "OPENED", "STATE", "SEVERITY", "CLASS", "PARTNER", "OPEN", "TOLD"},
		row: func(i incidentRow) []string {
			return []string{
				i.ID, clock(i.OpenedAt), incidentState(i.Incident), i.Severity.String(), i.Class.Words(), partner(i.Lead),
				fmt.Sprintf("%d of %d", i.OpenMembers(), i.Total), i.reached,
			}
		},
		of:    func(i incidentRow) view.Incident { return view.OfIncident(i.Incident) },
		list:  incidentRows,
		show:  showIncident,
		print: printIncident,
	}.command(c)
	cmd.AddCommand(c.acknowledgeCommand(), c.resolveCommand(), c.reportCommand())
	return cmd
}

func (c *cli) deliveriesCommand() *cobra.Command {
	cmd := listing[incident.Delivery, view.Delivery]{
		name: "deliveries", one: "dl_0000000000000", short: "List and show notifications on their way, retry dead ones",
		states:  view.DeliveryStates,
		columns: []string{"ID", "QUEUED", "NOTIFIER", "KIND", "STATE", "TRIES", "INCIDENT", "LAST WORD"},
		row: func(d incident.Delivery) []string {
			return []string{d.ID, clock(d.QueuedAt), d.Notifier, string(d.Kind), string(d.State), strconv.Itoa(d.Attempts), d.Incident, lastWord(d)}
		},
		of:   view.OfDelivery,
		list: (*sqlite.Store).Deliveries,
		show: func(s *sqlite.Store, ctx context.Context, id string) (any, error) {
			d, err := s.Delivery(ctx, id)
			return view.OfDelivery(d), err
		},
		print: printFields,
	}.command(c)
	cmd.AddCommand(c.retryCommand())
	return cmd
}

func (c *cli) runsCommand() *cobra.Command {
	cmd := listing[incident.Run, view.Run]{
		name: "runs", one: "rn_0000000000000", short: "List and show runs of automations, approve and stop them",
		states:  view.RunStates,
		columns: []string{"ID", "CREATED", "STATE", "REMEDIATION", "TRANSACTION", "WHY"},
		row: func(r incident.Run) []string {
			return []string{r.ID, clock(r.CreatedAt), string(r.State), r.Remediation, r.Transaction, r.Why}
		},
		of:   view.OfRun,
		list: (*sqlite.Store).Runs,
		show: func(s *sqlite.Store, ctx context.Context, id string) (any, error) {
			r, err := s.Run(ctx, id)
			return view.OfRun(r), err
		},
		print: printRun,
	}.command(c)
	cmd.AddCommand(c.approveCommand(), c.denyCommand(), c.stopCommand(), c.resumeCommand(), c.clearCommand())
	return cmd
}

// showIncident gathers what belongs to one incident.
func showIncident(s *sqlite.Store, ctx context.Context, id string) (any, error) {
	i, err := s.Incident(ctx, id)
	if err != nil {
		return nil, err
	}
	v := view.OfIncident(i)
	members, err := s.Members(ctx, id, 200)
	if err != nil {
		return nil, err
	}
	timeline, err := s.Timeline(ctx, id, 500)
	if err != nil {
		return nil, err
	}
	deliveries, err := s.Deliveries(ctx, incident.Filter{Incident: id, Limit: 500})
	if err != nil {
		return nil, err
	}
	runs, err := s.Runs(ctx, incident.Filter{Incident: id, Limit: 100})
	if err != nil {
		return nil, err
	}
	v.Members, v.Timeline = view.Each(members, view.OfMember), view.Each(timeline, view.OfEntry)
	v.Deliveries, v.Runs = view.Each(deliveries, view.OfDelivery), view.Each(runs, view.OfRun)
	return v, nil
}

func printEvent(w io.Writer, found any) error {
	v := found.(view.Event)
	body := v.Body
	v.Body = ""
	if err := printFields(w, v); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", printable(body))
	return err
}

func incidentState(i incident.Incident) string {
	switch {
	case i.State == incident.Resolved:
		return fmt.Sprintf("%s (%s)", i.State, i.Resolution)
	case i.Acknowledged != nil:
		return "acknowledged"
	}
	return string(i.State)
}

func partner(l incident.Lead) string {
	for _, path := range []string{event.PartnerName, event.PartnerID} {
		if name, _ := l.Fields[path].(string); name != "" {
			return name
		}
	}
	return ""
}

func lastWord(d incident.Delivery) string {
	if d.State == incident.Sent {
		return d.Answer
	}
	return d.Error
}

func times(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d×", n)
}

// printable drops what could move a terminal's cursor or hide text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if steers(r) {
			return -1
		}
		return r
	}, text)
}

// steers reports whether a character could move a terminal's cursor, or turn
// or hide the text around it.
func steers(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }
