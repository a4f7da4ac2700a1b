package mapping

import "datasync-bridge/event"

// Config is a source's mapping block: a profile and what differs from it.
type Config struct {
	// Profile names the built-in profile; default datasync.
	Profile string `koanf:"profile"`
	// Paths puts payload paths before the profile's for a field of the schema,
	// besides "type", "id" and "created_at".
	Paths map[string][]string `koanf:"paths"`
	// Aliases maps a type as sent to its canonical name.
	Aliases map[string]string `koanf:"aliases"`
	// Effects changes what a type does.
	Effects map[string]event.Effect `koanf:"effects"`
}
