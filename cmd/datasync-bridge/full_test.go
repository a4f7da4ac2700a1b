package main

import (
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
	"datasync-bridge/store/sqlite"
)

func TestAFullStoreIsToldAndShown(t *testing.T) {
	t.Parallel()
	for bound, tt := range map[string]struct {
		cfg     store.Config
		want    error
		subject string
	}{
		"max_size":   {store.Config{MaxSize: 1}, event.ErrFull, "size"},
		"quarantine": {store.Config{Quarantine: store.Quarantine{MaxSize: 1}}, event.ErrQuarantineFull, "quarantine"},
	} {
		t.Run(bound, func(t *testing.T) {
			t.Parallel()
			tt.cfg.SQLite.Path = filepath.Join(t.TempDir(), "bridge.db")
			s, err := sqlite.Open(t.Context(), tt.cfg, sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			metrics := newMetrics()
			metrics.watchStore(s, tt.cfg.SQLite.Path)
			own := &ownWatch{store: s, log: slog.New(slog.DiscardHandler), looks: (&storeLook{
				store: s, space: func() (free, all uint64, err error) { return 1 << 40, 1 << 40, nil },
			}).looks()}
			for n := 0; err == nil; n++ {
				if n > 3 {
					t.Fatal("nothing is refused")
				}
				body := []byte{byte('0' + n)}
				_, err = s.Accept(t.Context(), event.Received{
					Source: "datasync", Environment: event.Production, Origin: event.OriginWebhook, Authentic: true,
					Key: sha256.Sum256(body), BodyHash: sha256.Sum256(body), Quarantine: "the body is not JSON", ReceivedAt: time.Now(), Body: body,
				})
			}
			if !errors.Is(err, tt.want) {
				t.Fatalf("accept: %v, want %v", err, tt.want)
			}
			own.look(t.Context())
			kept, err := s.Events(t.Context(), incident.Filter{Source: "bridge"})
			if err != nil || len(kept) != 1 || kept[0].Type != storeDegraded {
				t.Errorf("told %+v (%v), want %s", kept, err, storeDegraded)
			}
			if !own.isTold(storeDegraded, tt.subject) {
				t.Errorf("told are %+v, want one about %s", own.told, tt.subject)
			}
			page := httptest.NewRecorder()
			metrics.handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			if line := `bridge_store_full{bound="` + bound + `"} 1`; !strings.Contains(page.Body.String(), line) {
				t.Errorf("the metrics lack %s", line)
			}
			if ready := strings.Contains(page.Body.String(), "\nbridge_store_ready 1\n"); ready != (bound == "quarantine") {
				t.Errorf("ready %v", ready)
			}
		})
	}
}
