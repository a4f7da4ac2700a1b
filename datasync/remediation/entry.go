package remediation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// EntryHashes returns, by name, a hash of what a run of each remediation
// depends on: its own entry and the section of the API client, whose secrets
// do not count. A change elsewhere in the configuration changes none, so it
// voids no approval; a change here voids every one of that remediation.
func EntryHashes(cfgs []Config, client any) (map[string]string, error) {
	hashes := make(map[string]string, len(cfgs))
	for _, c := range cfgs {
		text, err := json.Marshal([]any{c.WithDefaults(), client})
		if err != nil {
			return nil, fmt.Errorf("remediation %q: %w", c.Name, err)
		}
		sum := sha256.Sum256(text)
		hashes[c.Name] = hex.EncodeToString(sum[:])
	}
	return hashes, nil
}

// inForce is the hash under which runs of a remediation are proposed now.
func inForce(entry func(string) string, config func() string, remediation string) string {
	if entry != nil {
		return entry(remediation)
	}
	return config()
}
