package remediation

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// The modes.
const (
	ModeOff     = "off"
	ModeDryRun  = "dry-run"
	ModeApprove = "approve"
	ModeAuto    = "auto"
)

// What a workflow may do; the operator says which, Datasync does not.
const (
	Resend     = "resend"         // sends the document again
	Reprocess  = "reprocess"      // translates it again, which may create new documents
	Regenerate = "regenerate-mdn" // makes the receipt of an inbound message anew
)

// Defaults of Config.
const (
	// DefaultCooldown is the least time between two runs for one transaction.
	DefaultCooldown = 15 * time.Minute
	// DefaultExpiry is how long a request for approval stands.
	DefaultExpiry = 4 * time.Hour
)

// Config is one entry of remediations.
type Config struct {
	Name     string `koanf:"name"`
	Workflow string `koanf:"workflow"`
	// Does is what the workflow does: resend (default), reprocess or
	// regenerate-mdn. Nothing in Datasync confirms it.
	Does string `koanf:"does"`
	// Params are typed values; texts are templates over the event's fields.
	Params map[string]any `koanf:"params"`
	// Mode is off, dry-run (default), approve or auto.
	Mode     string        `koanf:"mode"`
	Limit    Limit         `koanf:"limit"`
	Cooldown time.Duration `koanf:"cooldown"` // default 15m
	// Approve says who is asked in mode approve.
	Approve Approve `koanf:"approve"`
	// Hold is how long pagers wait for a run of mode auto to help. Default 0s:
	// not at all; at most 1h.
	Hold time.Duration `koanf:"hold"`
	// OnlyDuring names the calendar during which its runs may be proposed, such as
	// the partner's hours; "" is always.
	OnlyDuring string `koanf:"only_during"`
	// Idempotent lets a workflow that reprocesses run in mode auto.
	Idempotent Idempotent `koanf:"idempotent"`
	// Override lifts what mode auto refuses, nil for nothing.
	Override *Override `koanf:"override"`
	// UnsentCodes are values of error.code that mean that no byte reached the
	// partner; assumed. Default: DefaultUnsentCodes.
	UnsentCodes []string `koanf:"unsent_codes"`
}

// Limit is written as "2/24h". Defaults: 1/24h, 5/1h, 20/1h.
type Limit struct {
	PerTransaction string `koanf:"per_transaction"`
	PerPartner     string `koanf:"per_partner"`
	Overall        string `koanf:"overall"`
}

// Approve says who may approve a run, and how.
type Approve struct {
	// By are authenticated names: "ana", or "local:root" for who is on the machine.
	By      []string      `koanf:"by"`
	Expires time.Duration `koanf:"expires"` // default 4h, 1m to 7d
	// TwoAbove is a decimal amount, in whatever currency: above it, and where a
	// document of money tells none, two different people must approve.
	TwoAbove string `koanf:"two_above"`
}

// Idempotent is an operator's word that reprocessing twice does nothing twice.
type Idempotent struct {
	ConfirmedBy string `koanf:"confirmed_by"`
}

// Override lets mode auto run what it refuses, for one of these document types
// in one of these classes. It names itself in the record.
type Override struct {
	By            string        `koanf:"by"`
	Why           string        `koanf:"why"`
	DocumentTypes []string      `koanf:"document_types"`
	Classes       []event.Class `koanf:"classes"`
}

// DefaultUnsentCodes are the codes that say that no connection came about. A
// timeout of the answer is not among them: the document may have arrived.
var DefaultUnsentCodes = []string{
	"CONNECTION_REFUSED", "CONNECT_TIMEOUT", "DNS_FAILURE", "DNS_ERROR",
	"HOST_UNREACHABLE", "NETWORK_UNREACHABLE", "TLS_HANDSHAKE_FAILED",
}

// WithDefaults fills what is not set.
func (c Config) WithDefaults() Config {
	c.Does = cmp.Or(c.Does, Resend)
	c.Mode = cmp.Or(c.Mode, ModeDryRun)
	c.Cooldown = cmp.Or(c.Cooldown, DefaultCooldown)
	c.Limit.PerTransaction = cmp.Or(c.Limit.PerTransaction, "1/24h")
	c.Limit.PerPartner = cmp.Or(c.Limit.PerPartner, "5/1h")
	c.Limit.Overall = cmp.Or(c.Limit.Overall, "20/1h")
	c.Approve.Expires = cmp.Or(c.Approve.Expires, DefaultExpiry)
	if c.UnsentCodes == nil {
		c.UnsentCodes = DefaultUnsentCodes
	}
	return c
}

// limits parses what is written.
func (c Config) limits() (incident.Limits, []fault) {
	l := incident.Limits{Cooldown: c.Cooldown}
	var faults []fault
	for _, one := range []struct {
		path string
		text string
		into *incident.Rate
	}{
		{"limit.per_transaction", c.Limit.PerTransaction, &l.PerTransaction},
		{"limit.per_partner", c.Limit.PerPartner, &l.PerPartner},
		{"limit.overall", c.Limit.Overall, &l.Overall},
	} {
		rate, err := parseRate(one.text)
		if err != nil {
			faults = append(faults, fault{one.path, err.Error()})
		}
		*one.into = rate
	}
	return l, faults
}

var rateForm = regexp.MustCompile(`^\s*(\d{1,6})\s*/\s*(\S+)\s*$`)

// parseRate reads "2/24h": two runs in any 24 hours.
func parseRate(text string) (incident.Rate, error) {
	m := rateForm.FindStringSubmatch(text)
	if m == nil {
		return incident.Rate{}, fmt.Errorf("%q is no limit; write a count and a window, such as 2/24h", text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n < 1 {
		return incident.Rate{}, fmt.Errorf("%q allows nothing; write at least 1, or mode: off", text)
	}
	per, err := event.ParseDuration(m[2])
	if err != nil || per <= 0 {
		return incident.Rate{}, fmt.Errorf("%q has no window; write it such as 2/24h", text)
	}
	return incident.Rate{Count: n, Per: per}, nil
}
