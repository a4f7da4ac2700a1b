package notifiers

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/url"
	"time"

	"datasync-bridge/event"
)

// DefaultTimeout bounds one attempt where the caller brings no client.
const DefaultTimeout = 10 * time.Second

// DefaultClient is for callers that bring none.
func DefaultClient() *http.Client { return &http.Client{Timeout: DefaultTimeout} }

// Fingerprint names a key without showing it, so that a resolve can be held
// against the key that its opening went through.
func Fingerprint(secret event.Secret) string {
	sum := sha256.Sum256([]byte(secret.Reveal()))
	return hex.EncodeToString(sum[:6])
}

// AddressProblem says what is wrong with a far side's address, "" for nothing:
// secrets travel there, so it is https, or http to this machine. The problem
// never quotes the address, which may be a secret.
func AddressProblem(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "must be an address such as https://host/path"
	case u.User != nil:
		return "must not hold a user name or password"
	case u.RawQuery != "" || u.Fragment != "":
		return "must not hold a query or a fragment"
	case u.Scheme == "https", u.Scheme == "http" && Loopback(u.Hostname()):
		return ""
	}
	return "must be https (http is for loopback addresses only)"
}

// Loopback reports whether a host is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
