package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// buryEvery is how often deliveries are looked for that nobody sends.
const buryEvery = 10 * time.Minute

// buryForsaken ends deliveries whose notifier is not configured any more, at
// the start and from time to time: they would wait for ever and tell nobody.
func (d *Dispatcher) buryForsaken(ctx context.Context) {
	for {
		if err := d.buryOnce(ctx); err != nil && ctx.Err() == nil && !ours(err) {
			d.log.Error("deliveries without a notifier cannot be ended", "err", err)
		}
		if !sleep(ctx, buryEvery) {
			return
		}
	}
}

// buryOnce sends what is due to unknown notifiers into a refusal, so that it
// takes the same way as any other delivery that is refused for good.
func (d *Dispatcher) buryOnce(ctx context.Context) error {
	names, err := d.addressees(ctx)
	if err != nil {
		return fmt.Errorf("ask who has deliveries: %w", err)
	}
	for _, name := range names {
		if d.staff.serves(name) {
			continue
		}
		nobody := sending{
			Dispatcher: d,
			Sender:     Sender{Name: name, Notifier: refusing(name)}.withDefaults(),
			lease:      leaseFor(0),
		}
		for ctx.Err() == nil && !d.staff.serves(name) { // a swap may bring it back
			delivery, _, err := nobody.claim(ctx)
			if err != nil {
				return fmt.Errorf("claim for %s: %w", name, err)
			}
			if delivery == nil {
				break
			}
			nobody.attempt(ctx, *delivery)
		}
	}
	return nil
}

// refusing is a notifier that is not there.
type refusing string

func (name refusing) Send(context.Context, incident.Delivery) (notifiers.Receipt, error) {
	return notifiers.Receipt{}, notifiers.Permanent(errors.New(
		"no notifier of this name is configured; add " + string(name) + " again, then retry the delivery"))
}
