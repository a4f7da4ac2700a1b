package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"datasync-bridge/certificate"
	"datasync-bridge/certificate/certificatetest"
)

// TestRouting40ACertificateThatIsNotTakenOverIsTold: those who are told of the
// bridge hear of it before the one in use ends, and not while its files are
// being replaced.
func TestRouting40ACertificateThatIsNotTakenOverIsTold(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		files, _ := certificatetest.New(t, "first")
		pair, err := certificate.Load(files, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r.reloader.show("server.tls", pair)
		own := ownWatch{store: r.store, looks: []look{{kinds: []string{configRejected}, find: r.reloader.troubles}}, log: r.reloader.log}
		look := func() {
			own.look(context.Background())
			r.pass(2 * time.Second)
		}
		look()
		r.wants("Slack", "")
		if err := os.Rename(files.Key, files.Key+".aside"); err != nil {
			t.Fatal(err)
		}
		look()
		r.wants("Slack", "") // it may be on its way
		if list := r.reloader.unused(); len(list) != 1 || !strings.Contains(list[0], "server.tls: warning") {
			t.Errorf("a reload says %q", list)
		}
		r.pass(renewalPatience)
		look()
		r.says(r.wants("Slack", "post")[0], "server.tls", "stays in use until")
		if err := os.Rename(files.Key+".aside", files.Key); err != nil {
			t.Fatal(err)
		}
		look()
		r.wants("Slack", "reply, edit")
		if list := r.reloader.unused(); list != nil {
			t.Errorf("a reload says %q when all is well", list)
		}
	})
}

// TestAReloadSaysThatACertificateIsNotInUse breaks the file of the real process.
func TestAReloadSaysThatACertificateIsNotInUse(t *testing.T) {
	t.Parallel()
	s, client, files := overTLS(t)
	if err := os.WriteFile(files.Cert, []byte("-----BEGIN CERTIFICATE-----\nhalf"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := s.command("reload"); o.code != exitOK || !strings.Contains(o.err, "server.tls: warning") || !strings.Contains(o.err, "stays in use until") {
		t.Errorf("the reload says %v", o)
	}
	if a, err := post(client, s.public, eventBody(1, "transaction.failed", 1)); err != nil || a.Status/100 != 2 {
		t.Errorf("an event meanwhile: %+v (%v)", a, err)
	}
	client.CloseIdleConnections()
	certificatetest.Renew(t, *files, "second")
	if o := s.command("reload"); o.code != exitOK || strings.Contains(o.err, "server.tls") {
		t.Errorf("after a good pair the reload says %v", o)
	}
}
