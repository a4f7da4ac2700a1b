package signature

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// key turns a secret's text into key bytes. One "whsec_…" string is three
// different keys in three schemes, so nothing is guessed from the text.
func (s Secret) key() ([]byte, error) {
	value := s.Value.Reveal()
	var key []byte
	var err error
	switch s.Encoding {
	case encodingUTF8:
		key = []byte(value)
	case encodingHex:
		key, err = hex.DecodeString(value)
	case encodingBase64:
		key, err = anyBase64(value)
	case encodingWhsec:
		key, err = anyBase64(strings.TrimPrefix(value, "whsec_"))
	default:
		return nil, errors.New("unknown encoding")
	}
	if err != nil {
		// The decoder's own error would quote a piece of the secret.
		return nil, errors.New("does not decode as " + s.Encoding)
	}
	if len(key) == 0 {
		return nil, errors.New("is empty")
	}
	return key, nil
}

// anyBase64 reads either alphabet, padded or not.
func anyBase64(s string) ([]byte, error) {
	s = strings.TrimRight(s, "=")
	if strings.ContainsAny(s, "-_") {
		return base64.RawURLEncoding.DecodeString(s)
	}
	return base64.RawStdEncoding.DecodeString(s)
}
