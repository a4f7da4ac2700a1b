package datasync

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

const (
	minEvery = 30 * time.Second
	// A stand-in on this machine may be asked more often, so that nobody who
	// rehearses has to wait.
	minEveryHere = time.Second
	maxEvery     = 24 * time.Hour
	minAge       = time.Minute
	// maxRemind and maxRemindDays bound reminders, maxWatched the partners that
	// are asked for though nothing of theirs has failed.
	maxRemind     = 20
	maxRemindDays = 3650
	maxWatched    = 1000
)

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]{1,64}$`)
	fieldName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)
	paramName  = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_.$\[\]-]{0,63}$`)
	onePath    = regexp.MustCompile(`^/[A-Za-z0-9._~/-]*\{id\}[A-Za-z0-9._~/-]*$`)
)

// ownHeaders are those that the client sets itself.
var ownHeaders = map[string]bool{
	"authorization": true, "content-type": true, "content-length": true, "accept": true,
	"host": true, "user-agent": true, "connection": true, "transfer-encoding": true,
}

// Validate reports every fault of a configuration with defaults. A bridge that
// never calls the API needs neither client_id nor client_secret.
func (c Config) Validate(report func(path, problem string)) {
	c.checkAddresses(report)
	if c.ClientID == "" && c.ClientSecret != "" {
		report("client_id", "is missing beside client_secret; create a client in the console under Settings → API Access")
	}
	if c.ClientID != "" && c.ClientSecret == "" {
		report("client_secret", "is missing beside client_id; create a client in the console under Settings → API Access")
	}
	if !headerName.MatchString(c.Idempotency.Header) || ownHeaders[strings.ToLower(c.Idempotency.Header)] {
		report("idempotency.header", "must name an HTTP header of its own, such as Idempotency-Key")
	}
	if !fieldName.MatchString(c.Idempotency.Field) || c.Idempotency.Field == fieldWorkflow || c.Idempotency.Field == fieldParams {
		report("idempotency.field", "must name a body field of its own, such as idempotency_key")
	}
	below := func(section string) func(string, string) {
		return func(path, problem string) { report(strings.TrimSuffix(section+"."+path, "."), problem) }
	}
	c.Transactions.check(below("transactions"))
	needs := func(section string) {
		if c.ClientID == "" && c.ClientSecret == "" {
			report(section, "calls the API; set datasync.client_id and datasync.client_secret")
		}
	}
	if c.Reconcile != nil {
		needs("reconcile")
		least := minEvery
		if c.Loopback() {
			least = minEveryHere
		}
		c.Reconcile.check(least, below("reconcile"))
	}
	if c.Enrich != nil {
		needs("enrich")
		c.Enrich.check(below("enrich"))
	}
}

func (c Config) checkAddresses(report func(path, problem string)) {
	base := checkBase(c.BaseURL)
	if base != "" {
		report("base_url", base)
	}
	switch c.Environment {
	case event.Production, event.Sandbox:
	default:
		report("environment", fmt.Sprintf("must be production or sandbox (got %q)", clean(string(c.Environment), maxID)))
	}
	switch sandbox := checkBase(c.SandboxURL); {
	case base != "" && c.SandboxURL == c.BaseURL+"/sandbox": // the same fault again
	case sandbox != "":
		report("sandbox_url", sandbox)
	case base == "":
		if near := checkSandbox(c.SandboxURL, c.BaseURL); near != "" {
			report("sandbox_url", near)
		}
	}
}

func (t Transactions) check(report func(path, problem string)) {
	meant := map[string]string{}
	for _, meaning := range slices.Sorted(maps.Keys(t.Params)) {
		name, at := t.Params[meaning], "params."+meaning
		if !slices.Contains(meanings, meaning) {
			report(at, "is no meaning that a parameter has; use "+strings.Join(meanings, ", "))
			continue
		}
		if !paramName.MatchString(name) {
			report(at, "must name a query parameter, such as "+meaning)
			continue
		}
		if first, doubled := meant[name]; doubled {
			report(at, fmt.Sprintf("is %q, as params.%s is; give each a parameter of its own", name, first))
			continue
		}
		meant[name] = meaning
	}
	if t.One != "" && (!onePath.MatchString(t.One) || dotted(t.One)) {
		report("one", "must be a path below the base with {id} in it once, such as /transactions/{id}")
	}
	if t.PageSize < 1 || t.PageSize > MaxPageSize {
		report("page_size", fmt.Sprintf("must be 1 to %d (got %d)", MaxPageSize, t.PageSize))
	}
}

func (r Reconcile) check(least time.Duration, report func(path, problem string)) {
	if r.Every < least || r.Every > maxEvery {
		report("every", fmt.Sprintf("must be %s to %s (got %s)", least, maxEvery, r.Every))
	}
	if r.Overlap <= 0 {
		report("overlap", fmt.Sprintf("must be above zero (got %s)", r.Overlap))
	}
	if r.QuietAfter <= 0 {
		report("quiet_after", fmt.Sprintf("must be above zero (got %s)", r.QuietAfter))
	}
	if d, err := event.ParseDuration(r.Start); r.Start != StartNow && (err != nil || d <= 0) {
		report("start", "must be now, or how far back the first poll looks, such as 24h")
	}
}

func (e Enrich) check(report func(path, problem string)) {
	if e.MaxAge < minAge {
		report("max_age", fmt.Sprintf("must be %s or more (got %s)", minAge, e.MaxAge))
	}
	if len(e.Partners) > maxWatched {
		report("partners", fmt.Sprintf("must name %d at most (got %d)", maxWatched, len(e.Partners)))
	}
	for i, id := range e.Partners {
		if err := checkID(id); err != nil {
			report(fmt.Sprintf("partners[%d]", i), "names no partner: "+err.Error())
		} else if slices.Contains(e.Partners[:i], id) {
			report(fmt.Sprintf("partners[%d]", i), fmt.Sprintf("names %q a second time", id))
		}
	}
	if fault := checkRemind(e.Remind); fault != "" {
		report("remind", fault)
	}
}

func checkRemind(days []int) string {
	if len(days) > maxRemind {
		return fmt.Sprintf("must hold %d days at most (got %d)", maxRemind, len(days))
	}
	rising, falling := true, true
	for i, d := range days {
		if d < 1 || d > maxRemindDays {
			return fmt.Sprintf("must hold days from 1 to %d (got %d)", maxRemindDays, d)
		}
		if i > 0 {
			rising, falling = rising && d > days[i-1], falling && d < days[i-1]
		}
	}
	if !rising && !falling {
		return "must hold each day once and in order, such as [60, 30, 14, 7, 1]"
	}
	return ""
}
