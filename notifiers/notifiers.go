// Package notifiers tells how a notification reaches people. Its root holds
// what all media share: the interface, the verdict on a failed attempt, and the
// care with text from outside. Inner rooms speak to one medium each.
//
// The returned error is the verdict: Permanent (give up), Wait (pause the whole
// notifier), anything else is transient. Unclear marks one that may have
// arrived after all.
package notifiers

import (
	"context"
	"errors"
	"time"

	"datasync-bridge/routing/incident"
)

// Notifier makes one call to its far side for one delivery.
type Notifier interface {
	Send(ctx context.Context, d incident.Delivery) (Receipt, error)
}

// Receipt is the far side's acceptance.
type Receipt struct {
	// Ref is its handle of a new top-level message, "" where none was made.
	Ref string
	// Answer is what it said, short and without secrets.
	Answer string
	// Fingerprint is that of the key it went through, "" where none matters.
	Fingerprint string
}

// Style is what every medium must know to print times and links.
type Style struct {
	// Location of printed times; nil is UTC.
	Location *time.Location
	// LinkHosts may be printed as https links; all else prints as text.
	LinkHosts []string
}

type verdict struct {
	err       error
	permanent bool
	unclear   bool
	wait      time.Duration
	pause     bool
}

func (v *verdict) Error() string { return v.err.Error() }
func (v *verdict) Unwrap() error { return v.err }

// Permanent says that no later attempt can succeed.
func Permanent(err error) error { return &verdict{err: err, permanent: true} }

// IsPermanent reports whether err carries that verdict.
func IsPermanent(err error) bool {
	return find(err, func(v *verdict) bool { return v.permanent }) != nil
}

// Wait says that the far side asked for a pause; it costs no attempt. Zero
// means that it named no time.
func Wait(after time.Duration, err error) error { return &verdict{err: err, wait: after, pause: true} }

// RetryAfter returns the pause that the far side asked for, and whether it did.
func RetryAfter(err error) (time.Duration, bool) {
	v := find(err, func(v *verdict) bool { return v.pause })
	if v == nil {
		return 0, false
	}
	return v.wait, true
}

// Unclear says that the far side may have done it although the answer is lost.
func Unclear(err error) error { return &verdict{err: err, unclear: true} }

// IsUnclear reports whether err carries that mark.
func IsUnclear(err error) bool { return find(err, func(v *verdict) bool { return v.unclear }) != nil }

func find(err error, is func(*verdict) bool) *verdict {
	for err != nil {
		var v *verdict
		if !errors.As(err, &v) {
			return nil
		}
		if is(v) {
			return v
		}
		err = v.err
	}
	return nil
}
