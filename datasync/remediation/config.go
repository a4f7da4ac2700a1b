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

// The modes. ModeApprove is named only to be refused by its name.
const (
	ModeOff     = "off"
	ModeDryRun  = "dry-run"
	ModeAuto    = "auto"
	ModeApprove = "approve"
)

// DefaultCooldown is the least time between two runs for one transaction.
const DefaultCooldown = 15 * time.Minute

// Config is one entry of remediations.
type Config struct {
	Name     string `koanf:"name"`
	Workflow string `koanf:"workflow"`
	// Params are typed values; texts are templates over the event's fields.
	Params map[string]any `koanf:"params"`
	// Mode is off, dry-run (default) or auto; approve comes later.
	Mode     string        `koanf:"mode"`
	Limit    Limit         `koanf:"limit"`
	Cooldown time.Duration `koanf:"cooldown"` // default 15m
}

// Limit is written as "2/24h". Defaults: 1/24h, 5/1h, 20/1h.
type Limit struct {
	PerTransaction string `koanf:"per_transaction"`
	PerPartner     string `koanf:"per_partner"`
	Overall        string `koanf:"overall"`
}

// WithDefaults fills what is not set.
func (c Config) WithDefaults() Config {
	c.Mode = cmp.Or(c.Mode, ModeDryRun)
	c.Cooldown = cmp.Or(c.Cooldown, DefaultCooldown)
	c.Limit.PerTransaction = cmp.Or(c.Limit.PerTransaction, "1/24h")
	c.Limit.PerPartner = cmp.Or(c.Limit.PerPartner, "5/1h")
	c.Limit.Overall = cmp.Or(c.Limit.Overall, "20/1h")
	return c
}

// Validate reports every fault of an entry with defaults that can be seen from
// the entry alone. Compile reports these as well.
func (c Config) Validate(report func(path, problem string)) {
	if c.Name == "" {
		report("name", "is missing; rules name it in remediate")
	}
	if c.Workflow == "" {
		report("workflow", "is missing; name the Datasync workflow to run")
	}
	switch c.Mode {
	case ModeOff, ModeDryRun, ModeAuto:
	case ModeApprove:
		report("mode", "approve is not supported in this version; use dry-run")
	default:
		report("mode", fmt.Sprintf("%q is no mode; use off, dry-run or auto", c.Mode))
	}
	if c.Cooldown < 0 {
		report("cooldown", fmt.Sprintf("must not be negative (got %s)", c.Cooldown))
	}
	_, faults := c.limits()
	_, more := parseParams(c.Params)
	for _, f := range append(faults, more...) {
		report(f.path, f.text)
	}
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
