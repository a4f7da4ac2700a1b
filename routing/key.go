package routing

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"datasync-bridge/event"
)

// DefaultGroupBy are the paths that make the incident key where no rule says
// otherwise: failures with a cause that transactions share group by partner, and
// each of the bridge's own troubles stands by itself.
func DefaultGroupBy(c event.Class) []string {
	switch {
	case c == event.BridgeClass:
		return []string{"class", "type", event.BridgeSubject}
	case c.Shared():
		return []string{event.PartnerID, "class"}
	}
	return []string{event.PartnerID, "class", event.TransactionID}
}

// maxKeyValue bounds one value inside a key; a longer one stands there as its hash.
const maxKeyValue = 200

// IncidentKey is the environment and the sorted (path, value) pairs as compact
// JSON, so that no value can imitate another pair:
//
//	["production",["class","connectivity"],["partner.id","par_7h2k9"]]
//
// Paths that the event lacks are left out. An event that has no path of its
// payload, where by names some, gets a key of its own: its id is added. (The
// bridge's own fields, such as class, are always there and say too little.)
func IncidentKey(ev *event.Event, by []string) string {
	paths := slices.Clone(by)
	slices.Sort(paths)
	paths = slices.Compact(paths)
	key := make([]byte, 0, 128)
	key = appendText(append(key, '['), string(ev.Environment))
	named, found := false, false
	for _, path := range paths {
		f, _ := event.FieldAt(path)
		named = named || !f.Own
		v, ok := ev.Lookup(path)
		if !ok {
			continue
		}
		found = found || !f.Own
		key = appendPair(key, path, v)
	}
	if named && !found && !slices.Contains(paths, "id") {
		key = appendPair(key, "id", ev.ID)
	}
	return string(append(key, ']'))
}

func appendPair(key []byte, path string, v any) []byte {
	key = appendText(append(key, ",["...), path)
	key = append(key, ',')
	start := len(key)
	switch v := v.(type) {
	case string:
		key = appendText(key, v)
	case json.Number: // equal ones alike
		key = append(key, plainNumber(valueOf(v))...)
	default:
		key = append(key, compactJSON(v)...)
	}
	if len(key)-start > maxKeyValue {
		sum := sha256.Sum256(key[start:])
		key = appendText(key[:start], "sha256:"+hex.EncodeToString(sum[:]))
	}
	return append(key, ']')
}

// appendText appends a JSON string. Most are plain and need no encoder.
func appendText(to []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(to, compactJSON(s)...)
		}
	}
	to = append(to, '"')
	to = append(to, s...)
	return append(to, '"')
}

// compactJSON writes JSON without escaping < > &, which keys need not.
func compactJSON(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		// Only a number out of range gets here; its digits still tell it apart.
		return compactJSON(err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}
