package datasync_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/profile"
	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
)

func oneAt(path string) func(*datasync.Config) {
	return func(c *datasync.Config) { c.Transactions.One = path }
}

func TestEveryPageOfTheSandboxIsRead(t *testing.T) {
	s := newStand(t)
	for n := range 250 {
		s.Put(sandbox.Transaction{ID: fmt.Sprintf("txn_%03d", n), DocumentType: "856", Status: "failed"})
	}
	for _, tt := range []struct {
		name           string
		size, most     int
		fault          *sandbox.Fault // of the second page
		read, pages    int
		complete, more bool
	}{
		{name: "as many as are asked for by default", read: 250, pages: 3, complete: true},
		{name: "a last page that is full", size: 125, read: 250, pages: 2, complete: true},
		{name: "one page of many", size: 50, most: 2, read: 100, pages: 2, more: true},
		{name: "a page that is truncated once", fault: &sandbox.Fault{Truncate: true}, read: 250, pages: 3, complete: true},
		{name: "a page that fails twice", fault: &sandbox.Fault{Status: 503, Times: 2}, read: 250, pages: 3, complete: true},
		{name: "a token that expires on the way", fault: &sandbox.Fault{Status: 401}, read: 250, pages: 3, complete: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.client("secret", func(c *datasync.Config) { c.Transactions.PageSize = tt.size })
			seen := map[string]bool{}
			l, err := c.Transactions(t.Context(), datasync.TransactionQuery{Status: "failed", MaxPages: tt.most}, func(x datasync.Transaction) bool {
				if len(seen) == 0 && tt.fault != nil {
					s.FailNext("GET /v1/transactions", *tt.fault)
				}
				seen[x.ID] = true
				return true
			})
			if err != nil || len(seen) != tt.read || l.Pages != tt.pages || l.Complete != tt.complete || l.More != tt.more {
				t.Errorf("%d read, %+v, error %v", len(seen), l, err)
			}
		})
	}
}

// A listing that is truncated for good is an error, never a short list.
func TestATruncatedListingIsNoList(t *testing.T) {
	s := newStand(t)
	s.Put(sandbox.Transaction{Status: "failed"})
	s.FailNext("/v1/transactions", sandbox.Fault{Truncate: true, Times: 100})
	l, err := s.client("secret").Transactions(t.Context(), datasync.TransactionQuery{}, func(datasync.Transaction) bool { return true })
	if err == nil || l.Complete {
		t.Errorf("%+v, error %v", l, err)
	}
}

func TestOneTransactionIsReadWhereTheSandboxHasIt(t *testing.T) {
	s := newStand(t)
	s.Put(sandbox.Transaction{ID: "a/b?c", DocumentType: "810", Status: "failed", Amount: "12.50", Currency: "EUR"})
	got, err := s.client("secret", oneAt("/transactions/{id}")).Transaction(t.Context(), "a/b?c")
	if err != nil || got.ID != "a/b?c" || got.Amount != "12.5" || got.Environment != event.Production || got.Status != "failed" {
		t.Errorf("%+v, error %v", got, err)
	}
	_, err = s.client("secret", oneAt("/transactions/{id}")).Transaction(t.Context(), "other")
	wantKind(t, err, datasync.NotFound)
	without := newStand(t, func(o *sandbox.Options) { o.WithoutReadOne = true })
	without.Put(sandbox.Transaction{ID: "txn_1"})
	_, err = without.client("secret", oneAt("/transactions/{id}")).Transaction(t.Context(), "txn_1")
	wantKind(t, err, datasync.NotFound)
}

func wantKind(t *testing.T, err error, kind datasync.Kind) {
	t.Helper()
	if e, ok := errors.AsType[*datasync.Error](err); !ok || e.Kind != kind || e.RequestID == "" {
		t.Errorf("error %v, want kind %q with a request id", err, kind)
	}
}

func TestAProfileBecomesAPartnerThatCanBeRead(t *testing.T) {
	s := newStand(t)
	dir, end := t.TempDir(), s.clock().Add(400*24*time.Hour).UTC()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "as2.acme.example"}, NotBefore: s.clock(), NotAfter: end}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	if err := os.WriteFile(filepath.Join(dir, "signing.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	desk := []profile.Contact{{Name: "EDI desk", Email: "edi@acme.example"}}
	for _, p := range []*profile.Profile{
		{Name: "Acme <b>&\u00e9 \u202egpj", Contacts: desk,
			AS2: &profile.AS2{ID: "ACME", URL: "https://as2.acme.example/in", MDN: "sync", Certificates: []profile.Certificate{{Role: "signing", File: "signing.pem"}}}},
		{Name: "By SFTP", Contacts: desk, SFTP: &profile.SFTP{Host: "sftp.acme.example", Port: 22, Username: "acme", Password: "hunter-2-hunter-2"}},
	} {
		p.Check(dir, s.clock(), func(at, problem string, warning bool) {
			if !warning {
				t.Errorf("%s: %s", at, problem)
			}
		})
		made, err := s.client("secret").CreatePartner(t.Context(), profile.Reveal(p.Body()))
		if err != nil || made.ID == "" {
			t.Fatalf("%+v, error %v", made, err)
		}
		got, err := s.client("secret").Partner(t.Context(), made.ID)
		if err != nil || got.ID != made.ID || got.Status == "" || !strings.HasPrefix(got.Name, p.Name[:4]) || strings.Contains(got.Name, "\u202e") {
			t.Errorf("%+v, error %v", got, err)
		}
		if strings.Contains(string(made.Raw)+string(got.Raw), "hunter-2") {
			t.Errorf("the answer repeats a password: %s", got.Raw)
		}
		if p.AS2 == nil {
			continue
		}
		if got.Contact.Email != "edi@acme.example" || len(got.Certificates) != 1 ||
			!got.Certificates[0].NotAfter.Equal(end.Truncate(time.Second)) || got.Certificates[0].Role != "signing" || len(got.Certificates[0].Fingerprint) != 64 {
			t.Errorf("contact %+v, certificates %+v", got.Contact, got.Certificates)
		}
	}
	_, err = s.client("secret").Partner(t.Context(), "par_unheard_of")
	wantKind(t, err, datasync.NotFound)
}

func TestACallWithoutItsScopeSaysSo(t *testing.T) {
	s := newStand(t, func(o *sandbox.Options) { o.Scopes = []string{sandbox.ScopeTransactions} })
	c := s.client("secret")
	if _, err := c.Transactions(t.Context(), datasync.TransactionQuery{}, func(datasync.Transaction) bool { return true }); err != nil {
		t.Error(err)
	}
	_, err := c.Partner(t.Context(), "par_1")
	wantKind(t, err, datasync.Scope)
	_, err = c.CreatePartner(t.Context(), map[string]any{"name": "x"})
	wantKind(t, err, datasync.Scope)
	_, err = c.Run(t.Context(), "resend_status", nil, "k")
	wantKind(t, err, datasync.Scope)
	_, err = c.Subscribe(t.Context(), "n", "http://127.0.0.1:1/h", []string{"*"})
	wantKind(t, err, datasync.Scope)
}

func TestTheTwoWorldsShareNothing(t *testing.T) {
	s := newStand(t)
	s.Put(sandbox.Transaction{ID: "txn_p", Status: "failed"})
	s.InSandbox().Put(sandbox.Transaction{ID: "txn_s", Status: "failed"})
	c := s.client("secret", func(c *datasync.Config) { c.Environment = event.Sandbox })
	var got []string
	if _, err := c.Transactions(t.Context(), datasync.TransactionQuery{}, func(x datasync.Transaction) bool {
		got = append(got, x.ID+" "+string(x.Environment))
		return true
	}); err != nil || strings.Join(got, ",") != "txn_s sandbox" {
		t.Errorf("%v, error %v", got, err)
	}
	if calls := s.Calls(); len(calls) != 0 {
		t.Errorf("production was called: %v", calls)
	}
}
