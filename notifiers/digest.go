package notifiers

import (
	"cmp"
	"fmt"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Group is what a digest tells of one partner.
type Group struct {
	Partner string
	Items   []Item
}

// Item is one open incident of a digest.
type Item struct {
	Icon     string
	Text     string
	Since    string
	Incident string
}

// composeDigest words many incidents, by partner: those of the most severe
// first, as the digest lists them.
func composeDigest(d incident.Delivery, style Style, now time.Time) Message {
	v := d.Snapshot.Digest
	if v == nil {
		v = &incident.DigestView{}
	}
	m := Message{
		Kind: d.Kind, Severity: d.Snapshot.Severity, Word: "DIGEST",
		Sandbox:  d.Snapshot.Environment == event.Sandbox,
		Headline: Clean(v.Name, 80) + ": " + open(len(v.Items)+v.More),
		More:     v.More, Footer: footer(d, style, now),
	}
	m.Icon, _ = severityMark(d.Snapshot.Severity)
	if m.Sandbox {
		m.Word = "SANDBOX " + m.Word
	}
	if v.Ended > 0 {
		m.Status = append(m.Status, fmt.Sprintf("%d more opened and ended before this", v.Ended))
	}
	if !v.Since.IsZero() {
		m.Status = append(m.Status, "The one before was told "+style.When(v.Since, now)+"; what stays open stands in the next one too")
	}
	for _, item := range v.Items {
		m.Groups = grouped(m.Groups, item, style, now)
	}
	return m
}

func open(n int) string {
	if n == 0 {
		return "nothing is open"
	}
	return fmt.Sprintf("%d open", n)
}

func grouped(groups []Group, item incident.DigestItem, style Style, now time.Time) []Group {
	name := cmp.Or(Clean(item.Partner, 80), "No partner")
	icon, _ := severityMark(item.Severity)
	line := Item{Icon: icon, Text: Clean(item.Line, 300), Since: style.When(item.OpenedAt, now), Incident: Clean(item.Incident, 60)}
	if item.Environment == event.Sandbox {
		line.Text = "SANDBOX " + line.Text
	}
	for i := range groups {
		if groups[i].Partner == name {
			groups[i].Items = append(groups[i].Items, line)
			return groups
		}
	}
	return append(groups, Group{Partner: name, Items: []Item{line}})
}

// symptoms says which incidents this one explains.
func symptoms(s incident.Snapshot) []string {
	n := len(s.Symptoms) + s.MoreSymptoms
	if n == 0 {
		return nil
	}
	lines := []string{fmt.Sprintf("It explains %s, not told apart:", amount(n, "other"))}
	const most = 5
	for i, symptom := range s.Symptoms {
		if i == most {
			break
		}
		lines = append(lines, "• "+Clean(symptom.Line, 200)+bracketed(Clean(symptom.Incident, 60)))
	}
	if left := n - min(len(s.Symptoms), most); left > 0 {
		lines = append(lines, fmt.Sprintf("…and %d more", left))
	}
	return lines
}
