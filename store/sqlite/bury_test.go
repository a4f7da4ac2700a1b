package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"datasync-bridge/routing/incident"
)

func TestAnUnreadableDeliveryDiesAndLetsTheNextOneGo(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), time.Now)
	one := incident.Delivery{Order: "k", Notifier: "ops", Kind: incident.Noticed}
	if err := s.Apply(t.Context(), incident.Plan{Deliveries: []incident.Delivery{one, one}}); err != nil {
		t.Fatal(err)
	}
	err := s.write(t.Context(), func(t *tx) error {
		_, err := t.exec("UPDATE deliveries SET snapshot = '{\"Severity\":7}' WHERE id = 1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d, next, err := s.Claim(t.Context(), "ops", time.Minute)
	if err != nil || d != nil || next.IsZero() {
		t.Fatalf("the unreadable one gave %+v, %v, %v; want nothing, and to look again", d, next, err)
	}
	d, _, err = s.Claim(t.Context(), "ops", time.Minute)
	if err != nil || d == nil || d.Seq != 2 {
		t.Fatalf("the next one was not claimed: %+v, %v", d, err)
	}
	stats, err := s.Stats(t.Context())
	if err != nil || stats.Dead["ops"] != 1 {
		t.Errorf("dead %v, %v; want one of ops", stats.Dead, err)
	}
}
