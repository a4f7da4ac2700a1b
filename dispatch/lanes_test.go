package dispatch

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// laid returns the lanes as ids.
func laid(queries ...incident.Query) [][]string {
	tasks := make([]task, len(queries))
	for i, q := range queries {
		tasks[i] = task{stored: event.Stored{ID: strconv.Itoa(i)}, query: q}
	}
	var out [][]string
	for _, lane := range lanes(tasks) {
		var ids []string
		for _, t := range lane {
			ids = append(ids, t.stored.ID)
		}
		out = append(out, ids)
	}
	return out
}

func TestLanes(t *testing.T) {
	prod, sandbox := event.Production, event.Sandbox
	for _, tt := range []struct {
		name    string
		queries []incident.Query
		want    string
	}{
		{"nothing", nil, "[]"},
		{"what touches nothing goes alone", []incident.Query{{}, {}}, "[[0] [1]]"},
		{"one key, one lane", []incident.Query{{Environment: prod, Key: "a"}, {Environment: prod, Key: "b"}, {Environment: prod, Key: "a"}}, "[[0 2] [1]]"},
		{"environments never meet", []incident.Query{{Environment: prod, Key: "a"}, {Environment: sandbox, Key: "a"}}, "[[0] [1]]"},
		{"a key is no handle", []incident.Query{{Environment: prod, Key: "a"}, {Environment: prod, Handles: []string{"a"}}}, "[[0] [1]]"},
		{"a shared handle joins", []incident.Query{{Environment: prod, Key: "a", Handles: []string{"x", "y"}}, {Environment: prod, Key: "b", Handles: []string{"y"}}}, "[[0 1]]"},
		{"notices join across environments", []incident.Query{{Environment: prod, Notice: "n"}, {Environment: sandbox, Notice: "n"}}, "[[0 1]]"},
		{"a later event joins two lanes in order", []incident.Query{
			{Environment: prod, Key: "a"}, {Environment: prod, Key: "b"}, {Environment: prod, Key: "c"},
			{Environment: prod, Handles: []string{"h"}, Key: "b"}, {Environment: prod, Handles: []string{"h"}, Key: "a"},
		}, "[[0 1 3 4] [2]]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprint(laid(tt.queries...)); got != tt.want {
				t.Errorf("lanes %s, want %s", got, tt.want)
			}
		})
	}
}

func TestLanes_NeverShareAnythingAndKeepOrder(t *testing.T) {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"}), 0, 3, rapid.ID[string])
	rapid.Check(t, func(t *rapid.T) {
		queries := make([]incident.Query, rapid.IntRange(0, 40).Draw(t, "n"))
		for i := range queries {
			queries[i] = incident.Query{Environment: event.Production, Handles: names.Draw(t, "handles"), Notice: rapid.SampledFrom([]string{"", "", "n", "m"}).Draw(t, "notice")}
		}
		got := laid(queries...)
		owner, seen := map[string]int{}, 0
		for k, lane := range got {
			var order []int
			for _, id := range lane {
				var i int
				_, _ = fmt.Sscan(id, &i)
				order = append(order, i)
				for _, name := range touched(queries[i]) {
					if first, ok := owner[name]; ok && first != k {
						t.Fatalf("%q is touched by lanes %d and %d of %v", name, first, k, got)
					}
					owner[name] = k
				}
			}
			if !slices.IsSorted(order) {
				t.Fatalf("lane %v is out of order", lane)
			}
			seen += len(lane)
		}
		if seen != len(queries) {
			t.Fatalf("%d of %d events have a lane", seen, len(queries))
		}
	})
}
