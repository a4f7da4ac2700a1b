package profile

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Soon is how near a certificate's end is worth a word.
const Soon = 30 * 24 * time.Hour

// Bounds on a certificate's file.
const (
	maxFile  = 64 << 10
	maxChain = 10
	minRSA   = 2048
)

// Certificate is one certificate of a partner, in a PEM file that may hold the
// chain behind it.
type Certificate struct {
	// Role is signing, encryption or tls.
	Role string `koanf:"role"`
	File string `koanf:"file"`

	// What the file holds, once it was checked.
	Subject     string
	Fingerprint string // SHA-256, hex
	NotAfter    time.Time
	pem         string
}

// read takes the certificate from its file. What the file holds stands in no
// report: it may be something else, and secret.
func (c *Certificate) read(at, dir string, now time.Time, report Report) {
	if c.File == "" {
		report(at, "is missing; name a PEM file", false)
		return
	}
	text, err := readFile(filepath.Join(dir, c.File), c.File)
	if err != nil {
		report(at, err.Error(), false)
		return
	}
	chain, err := certificates(text)
	if err != nil {
		report(at, err.Error(), false)
		return
	}
	var out strings.Builder
	for i, cert := range chain {
		which := ""
		if i > 0 {
			which = fmt.Sprintf("certificate %d of the chain ", i+1)
		}
		checkCertificate(cert, now, func(problem string, warning bool) { report(at, which+problem, warning) })
		_ = pem.Encode(&out, &pem.Block{Type: pemCertificate, Bytes: cert.Raw}) // a Builder takes everything
	}
	sum := sha256.Sum256(chain[0].Raw)
	c.Subject, c.Fingerprint, c.NotAfter, c.pem = chain[0].Subject.String(), hex.EncodeToString(sum[:]), chain[0].NotAfter, out.String()
}

// readFile reads a small regular file. An absolute name stands for itself.
func readFile(path, name string) ([]byte, error) {
	if filepath.IsAbs(name) {
		path = name
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(err)
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, errors.New("is no regular file")
	}
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, unreadable(err)
	}
	defer func() { _ = f.Close() }() // read only: nothing to lose
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, unreadable(err)
	case len(text) > maxFile:
		return nil, fmt.Errorf("is larger than %d KiB, which no certificate is", maxFile>>10)
	}
	return text, nil
}

func unreadable(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("cannot be read: %w; names are relative to the profile's folder", err)
}

const pemCertificate = "CERTIFICATE"

// certificates reads the PEM blocks of a file: the partner's certificate first.
func certificates(text []byte) ([]*x509.Certificate, error) {
	if _, err := x509.ParseCertificate(text); err == nil {
		return nil, errors.New("is DER; make it PEM: openssl x509 -inform der -in FILE -out FILE.pem")
	}
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case strings.Contains(block.Type, "PRIVATE KEY"):
			return nil, errors.New("holds a private key, which never leaves its owner; name a file with the certificate alone")
		case block.Type != pemCertificate && block.Type != "X509 CERTIFICATE":
			return nil, errors.New("holds something else than certificates; name a file with the certificate alone")
		case len(chain) == maxChain:
			return nil, fmt.Errorf("holds more than %d certificates; name a file with the partner's own", maxChain)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a certificate that is no X.509 certificate")
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, errors.New("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")
	}
	return chain, nil
}

func checkCertificate(cert *x509.Certificate, now time.Time, report func(problem string, warning bool)) {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSA {
			report(fmt.Sprintf("has an RSA key of %d bits; ask for one of at least %d", n, minRSA), false)
		}
	case *ecdsa.PublicKey:
	default:
		report(fmt.Sprintf("has a key of kind %s; ask for RSA of at least %d bits, or EC", cert.PublicKeyAlgorithm, minRSA), false)
	}
	switch left := cert.NotAfter.Sub(now); {
	case now.Before(cert.NotBefore):
		report("is not valid before "+day(cert.NotBefore)+"; create the partner then, or ask for another", false)
	case left <= 0:
		report("expired on "+day(cert.NotAfter)+"; ask the partner for the one in use", false)
	case left < Soon:
		report(fmt.Sprintf("expires on %s, in %d days; ask the partner for the next one", day(cert.NotAfter), int(left.Hours()/24)), true)
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// isPrivateKey reports whether a text is a private key in PEM, OpenSSH's kind
// among them.
func isPrivateKey(text string) bool {
	block, _ := pem.Decode([]byte(text))
	return block != nil && strings.HasSuffix(block.Type, "PRIVATE KEY")
}
