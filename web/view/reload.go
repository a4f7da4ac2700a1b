package view

// Reload is a configuration that came into force.
type Reload struct {
	// Config and Was are the beginnings of its hash and of that before.
	Config string `json:"config"`
	Was    string `json:"was"`
	// Restart names sections that differ and that only a restart puts in force.
	Restart []string `json:"restart,omitempty"`
	// Warnings are what is dubious in it, one line each.
	Warnings []string `json:"warnings,omitempty"`
}
