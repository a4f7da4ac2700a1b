// Package certificate serves TLS from two files, and takes over what they hold
// when they are renewed.
package certificate

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files names the files of a certificate, with those that lead to its
// authority, and of its key; both in PEM.
type Files struct {
	Cert string `koanf:"cert" expand:"true"`
	Key  string `koanf:"key" expand:"true"`
}

// Validate reports what is missing, each with its path.
func (f Files) Validate(report func(path, problem string)) {
	if f.Cert == "" {
		report("cert", "is missing; name the certificate's file")
	}
	if f.Key == "" {
		report("key", "is missing; name the key's file")
	}
}

// lookEvery is how old the look at the files may be at a handshake.
const lookEvery = time.Second

// Pair is a certificate in use.
type Pair struct {
	files Files
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex
	using  *tls.Certificate
	of     [2]stamp // the files that it, or what was refused after it, was read from
	looked time.Time
	// problem is why the files, as they were looked at last, are not in use; since
	// then. Such files are read again at each look: the right to read one, or a
	// free descriptor, comes without a new time.
	problem error
	since   time.Time
}

// stamp tells one state of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

// Load reads a pair, which must fit.
func Load(files Files, log *slog.Logger) (*Pair, error) {
	p := &Pair{files: files, log: log, now: time.Now}
	var err error
	if p.of, err = p.stamps(); err == nil {
		p.using, err = p.read()
	}
	if err != nil {
		return nil, fmt.Errorf("load the certificate: %w", err)
	}
	p.looked = p.now()
	return p, nil
}

// Config serves the pair as it is at each handshake, by HTTP/1.1 over TLS 1.2
// or newer.
func (p *Pair) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current(), nil },
	}
}

// Ends is when the certificate in use ends.
func (p *Pair) Ends() time.Time { return p.current().Leaf.NotAfter }

// Problem looks at the files, and says since when and why what they hold is not
// in use; nil where it is. It quotes nothing of them.
func (p *Pair) Problem() (since time.Time, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = p.now()
	p.look()
	return p.since, p.problem
}

// current is the newest pair that is whole. While one file is new and the other
// is not yet, or the new ones do not fit, the one before stays in use.
func (p *Pair) current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); now.Sub(p.looked) >= lookEvery || now.Before(p.looked) {
		p.looked = now
		p.look()
	}
	return p.using
}

func (p *Pair) look() {
	of, err := p.stamps()
	if err == nil && of == p.of && p.problem == nil {
		return
	}
	var next *tls.Certificate
	if err == nil {
		next, err = p.read()
	}
	if err != nil {
		if p.problem == nil {
			p.since = p.now()
		}
		p.problem = err
		if of != p.of { // once for each state of the files
			p.log.Error("the renewed certificate cannot be used; the one before stays in use", "cert", p.files.Cert, "key", p.files.Key, "err", err)
		}
		p.of = of
		return
	}
	p.of, p.using, p.problem = of, next, nil
	p.log.Info("certificate renewed", "cert", p.files.Cert, "until", next.Leaf.NotAfter.UTC().Format(time.DateOnly))
}

func (p *Pair) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(p.files.Cert, p.files.Key)
	return &pair, err
}

func (p *Pair) stamps() (of [2]stamp, err error) {
	for k, path := range []string{p.files.Cert, p.files.Key} {
		info, err := os.Stat(path)
		if err != nil {
			return of, err
		}
		of[k] = stamp{info.ModTime(), info.Size()}
	}
	return of, nil
}
