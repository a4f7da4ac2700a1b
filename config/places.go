package config

// Warning is what is dubious about a key, found after the load, at the place
// where it was typed. A configuration that was not loaded has no places.
func (c *Config) Warning(path, text string) Fault {
	if c.places == nil {
		return Fault{Path: path, Text: text, Warning: true}
	}
	p := c.places.at(path)
	return Fault{File: p.file, Line: p.line, Col: p.col, Path: path, Text: text, Warning: true}
}
