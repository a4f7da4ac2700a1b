package signature

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// header says how signatures are written in the value of one header.
type header struct {
	name, prefix, separator, key string
}

// single returns a header's one value, "" where it is missing. A header that
// comes twice with different values is refused: which of them a proxy or a
// library would have looked at is anyone's guess.
func single(h Headers, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	values := h.Values(name)
	if len(values) == 0 {
		return "", nil
	}
	for _, v := range values[1:] {
		if v != values[0] {
			return "", refuse(Malformed, "several %s headers that differ", name)
		}
	}
	return values[0], nil
}

// candidates decodes every signature of the scheme in a header's value. What
// does not decode to 32 bytes is another version's, or nonsense, and is skipped.
//
// Outside a list the prefix is required. In a list it may stand before each
// item, before the first alone, or be left out of an only item; an item under
// another version's prefix cannot pass for a bare one, because neither "=" nor
// "," is a hex or an inner base64 character.
func (v *Verifier) candidates(value string) [][sha256.Size]byte {
	var found [][sha256.Size]byte
	h := v.signature
	bare := h.separator != "" && !strings.Contains(strings.TrimSpace(value), h.separator)
	for item := range items(value, h.separator) {
		if h.key != "" {
			key, rest, pair := strings.Cut(item, "=")
			if !pair || key != h.key {
				continue
			}
			item = rest
		}
		item, prefixed := strings.CutPrefix(item, h.prefix)
		if prefixed && h.separator != "" {
			bare = true
		}
		var sum [sha256.Size]byte
		if (prefixed || bare) && v.decode(sum[:], item) {
			found = append(found, sum)
		}
	}
	return found
}

// items yields the entries of a list, without the space around them. Without a
// separator the value is one entry.
func items(value, separator string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if separator == "" {
			yield(strings.TrimSpace(value))
			return
		}
		for item := range strings.SplitSeq(value, separator) {
			if item = strings.TrimSpace(item); item != "" && !yield(item) {
				return
			}
		}
	}
}

// pair returns the value under a key of a "t=…,v1=…" list.
func pair(value, separator, key string) (string, error) {
	found, seen := "", false
	for item := range items(value, separator) {
		name, v, isPair := strings.Cut(item, "=")
		if !isPair || name != key {
			continue
		}
		if seen && v != found {
			return "", refuse(Malformed, "several values of %s that differ", key)
		}
		found, seen = v, true
	}
	return found, nil
}

// decodeHex takes both cases.
func decodeHex(dst []byte, text string) bool {
	if len(text) != hex.EncodedLen(len(dst)) {
		return false
	}
	_, err := hex.Decode(dst, []byte(text))
	return err == nil
}

// strict64 takes padding as it must be and refuses spare bits, so that a
// signature has one spelling.
var strict64 = base64.StdEncoding.Strict()

func decodeBase64(dst []byte, text string) bool {
	if len(text) != strict64.EncodedLen(len(dst)) {
		return false
	}
	var room [sha256.Size + 1]byte // the decoder wants room for the padding
	n, err := strict64.Decode(room[:], []byte(text))
	return err == nil && n == copy(dst, room[:n])
}
