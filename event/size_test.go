package event

import "testing"

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"1MiB": 1 << 20, "64KiB": 64 << 10, "1000B": 1000, "2 GiB": 2 << 30, "5MB": 5e6, "0B": 0} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
		var again Size
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%s is written as %s, which is read as %d (%v)", text, got, again, err)
		}
	}
	for _, text := range []string{"", "5", "-1MiB", "1.5MiB", "1mib", "1TiB", "99999999999GiB", "MiB"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
