package config

// Plain parses a file into plain values without judging them, nil where it is
// no YAML that the bridge reads.
func Plain(text []byte) map[string]any { return newBook("config.yaml").parse(text) }
