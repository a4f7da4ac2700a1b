package terminal

import "datasync-bridge/routing/incident"

// Config is a notifier's terminal block: it prints what it would send.
type Config struct {
	// Pager makes it behave as a pager, to rehearse a configuration. Default false.
	Pager bool `koanf:"pager"`
}

// WithDefaults changes nothing: the zero value is useful.
func (c Config) WithDefaults() Config { return c }

// Validate finds nothing: every value is good.
func (c Config) Validate(func(path, problem string)) {}

// Traits is what planning must know of a notifier with this block. Printed
// lines stay as they are, yet a rehearsal shows the edits too, one by one,
// unless it plays a pager.
func (c Config) Traits(name string) incident.Notifier {
	return incident.Notifier{Name: name, Pager: c.Pager, Edits: !c.Pager, Destination: "terminal"}
}
