package incident

import (
	"cmp"
	"slices"
	"strings"

	"datasync-bridge/event"
)

// What the bridge tells of its notifiers.
const (
	typeDeliveryDead = "bridge.delivery_dead"
	typeQueueOld     = "bridge.queue_old"
)

// notifierSubject begins the subject of an own event about a notifier; its name
// alone does as well.
const notifierSubject = "notifier/"

// failing is the notifier that one of the bridge's own events is about, "" for
// none: it is not told of its own trouble (routing rule 40).
func failing(kind string, c event.Class, subject string) string {
	if c != event.BridgeClass || kind != typeDeliveryDead && kind != typeQueueOld {
		return ""
	}
	name, _ := strings.CutPrefix(subject, notifierSubject)
	return name
}

func failingIn(ev event.Event) string {
	if ev.Origin != event.OriginBridge {
		return ""
	}
	return failing(ev.Type, event.BridgeClass, ev.Text(event.BridgeSubject))
}

func (i *Incident) failing() string {
	return failing(i.Lead.Type, cmp.Or(i.Lead.Class, i.Class), textOf(i.Lead.Fields, event.BridgeSubject))
}

// around leaves the failing notifier out of those who are told. If nobody is
// left its fallback is told, else the defaults without it.
func (m *Machine) around(names []string, ev event.Event) (list, why []string) {
	failed := failingIn(ev)
	if failed == "" || !slices.Contains(names, failed) {
		return names, nil
	}
	without := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == failed })
	}
	why = []string{"it is about " + failed + ", which is not told of it"}
	list = without(names)
	if to := m.Notifiers[failed].FallbackTo; len(list) == 0 && to != "" && to != failed {
		list, _ = m.allowed([]string{to}, ev)
		list = without(list)
	}
	if len(list) == 0 {
		list, _ = m.allowed(m.Notify, ev)
		list = without(list)
	}
	return list, why
}
