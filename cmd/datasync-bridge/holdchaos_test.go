package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// holdRules are rules under which an event of a document may be told at once,
// wait for its window, stand in a digest or be explained by another.
var holdRules = []string{
	`
rules:
  - {name: page, match: {transaction.document_type: "856"}, severity: critical, notify: [pager, ops]}
  - {name: office, match: {transaction.document_type: "810"}, notify: [pager, ops], only_during: business}
  - {name: listed, match: {transaction.document_type: "214"}, notify: [ops], digest: morning}
inhibit: [{by: {class: certificate}, mutes: {class: connectivity}, same: [partner.id]}]
`, `
rules:
  - {name: office, match: {transaction.document_type: ["856", "810"]}, severity: critical, notify: [ops], only_during: business, outside: digest}
  - {name: office-page, match: {transaction.document_type: ["856", "810"]}, notify: [pager], only_during: business}
  - {name: page, match: {transaction.document_type: "214"}, notify: [pager]}
`, `
rules:
  - {name: page, match: {}, notify: [pager, ops]}
`,
}

// TestRouting22HoldsReloadsAndRestartsLoseAndDoubleNothing does anything in any
// order; when nothing holds any more, all that is open is told, and in the end
// every page is over, none of them twice.
func TestRouting22HoldsReloadsAndRestartsLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	head := chicago + "\ndefaults: {notify: [ops], repeat: never, close_after: 60d, group: {wait: 30s}}\n"
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rules := strings.Replace(holdRules[0], "\nrules:", head+"rules:", 1)
			rehearse(t, rules, func(r *rehearsal) {
				r.poll = time.Hour
				c := &holdChaos{rehearsal: r, dice: rand.New(rand.NewPCG(seed, 23)), head: head, rules: rules}
				for range 120 {
					c.step()
				}
				c.calm()
				c.end()
			})
		})
	}
}

type holdChaos struct {
	*rehearsal
	dice   *rand.Rand
	head   string
	rules  string
	serial int
	open   [][2]string // transactions that failed, with their partners
	quiet  []string
}

func (c *holdChaos) step() {
	partner := fmt.Sprint("par_", c.dice.IntN(4))
	switch n := c.dice.IntN(20); {
	case n < 8:
		c.serial++
		txn := fmt.Sprint("txn_", c.serial)
		c.failed(txn, "partner.id", partner, "transaction.document_type", []string{"856", "810", "214"}[c.dice.IntN(3)],
			"error.category", []string{"connectivity", "mapping"}[c.dice.IntN(2)])
		c.open = append(c.open, [2]string{txn, partner})
	case n < 12 && len(c.open) > 0:
		k := c.dice.IntN(len(c.open))
		c.delivered(c.open[k][0], "partner.id", c.open[k][1])
		c.open = append(c.open[:k], c.open[k+1:]...)
	case n == 12:
		c.send("partner.certificate_expired", "partner.id", partner, "certificate.id", "crt_"+partner)
	case n == 13:
		c.send("partner.certificate_updated", "partner.id", partner, "certificate.id", "crt_"+partner)
	case n == 14:
		s, err := c.silencer.AddSilence(context.Background(), incident.Silence{Match: map[string]any{event.PartnerID: partner},
			Until: time.Now().Add(time.Duration(1+c.dice.IntN(600)) * time.Minute), Why: "chaos"}, "ana")
		if err != nil {
			c.t.Fatal(err)
		}
		c.quiet = append(c.quiet, s.ID)
	case n == 15 && len(c.quiet) > 0:
		k := c.dice.IntN(len(c.quiet))
		_ = c.silencer.ExpireSilence(context.Background(), c.quiet[k], "ana", "over") // it may be over already
	case n == 16:
		c.use(holdRules[c.dice.IntN(len(holdRules))])
	case n == 17:
		c.rehearsal.end()
		c.begin(c.rules)
	default:
		c.pass(time.Duration(1+c.dice.IntN(300)) * time.Minute)
	}
}

func (c *holdChaos) use(rules string) {
	c.rules = strings.Replace(rules, "\nrules:", c.head+"rules:", 1)
	c.reload(c.rules)
}

// calm takes away whatever holds, and looks whether all that is open is told.
func (c *holdChaos) calm() {
	for _, id := range c.quiet {
		_ = c.silencer.ExpireSilence(context.Background(), id, "ana", "over")
	}
	for n := range 4 {
		c.send("partner.certificate_updated", "partner.id", fmt.Sprint("par_", n), "certificate.id", fmt.Sprint("crt_par_", n))
	}
	c.head = strings.Replace(c.head, chicago, "", 1) // hours that are not configured hold nothing
	c.use(holdRules[2])
	c.pass(10 * time.Minute)
	for _, inc := range c.incidents() {
		if inc.State != incident.Open {
			continue
		}
		told := 0
		for _, tell := range inc.Told {
			if tell.Held != nil && !tell.Over {
				c.t.Errorf("nothing holds any more, and %s is not told of %s: %+v", tell.Notifier, inc.ID, *tell.Held)
			}
			told += tell.Alarms
		}
		if told == 0 {
			c.t.Errorf("%s (%s) is open and nobody knows", inc.ID, inc.Lead.Type)
		}
	}
}

// end delivers everything, and holds what PagerDuty took against its rules.
func (c *holdChaos) end() {
	for _, txn := range c.open {
		c.delivered(txn[0], "partner.id", txn[1])
	}
	c.pass(3 * time.Hour)
	for _, inc := range c.incidents() {
		if inc.State == incident.Open {
			c.t.Errorf("%s is open: %+v", inc.ID, inc.Listed)
		}
	}
	ringing := map[string]bool{}
	for _, call := range c.pagerCalls("0") {
		deed, alarm, _ := strings.Cut(call.deed, " ")
		switch {
		case deed == "trigger" && ringing[alarm]:
			c.t.Errorf("%s is triggered while it rings", alarm)
		case deed == "resolve" && !ringing[alarm]:
			c.t.Errorf("%s is resolved, and does not ring", alarm)
		}
		ringing[alarm] = deed == "trigger"
	}
	for alarm, rings := range ringing {
		if rings {
			c.t.Errorf("%s rings for ever", alarm)
		}
	}
	if len(ringing) == 0 {
		c.t.Error("nobody was paged: too little happened")
	}
}
