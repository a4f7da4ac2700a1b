package dispatch

import (
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// task is one pending event on its way to a plan.
type task struct {
	stored   event.Stored
	event    event.Event
	decision incident.Decision
	query    incident.Query
}

// touched names what a plan made from the query reads and may change. Two
// events that share a name belong to one lane.
func touched(q incident.Query) []string {
	names := make([]string, 0, len(q.Handles)+len(q.Incidents)+2)
	if q.Key != "" {
		names = append(names, "key\x00"+string(q.Environment)+"\x00"+q.Key)
	}
	for _, h := range q.Handles {
		names = append(names, "handle\x00"+string(q.Environment)+"\x00"+h)
	}
	for _, id := range q.Incidents {
		names = append(names, "incident\x00"+id)
	}
	if q.Notice != "" {
		names = append(names, "notice\x00"+q.Notice)
	}
	return names
}

// lanes parts tasks so that no two lanes touch the same thing, and keeps the
// order within each: lanes may run side by side, and their commits be shared.
func lanes(tasks []task) [][]task {
	parent := make([]int, len(tasks))
	owner := make(map[string]int, 2*len(tasks))
	for i := range tasks {
		parent[i] = i
		for _, name := range touched(tasks[i].query) {
			if first, seen := owner[name]; seen {
				join(parent, first, i)
			} else {
				owner[name] = i
			}
		}
	}
	var out [][]task
	lane := make(map[int]int, len(tasks))
	for i := range tasks {
		root := find(parent, i)
		at, seen := lane[root]
		if !seen {
			at = len(out)
			lane[root] = at
			out = append(out, nil)
		}
		out[at] = append(out[at], tasks[i])
	}
	return out
}

func find(parent []int, i int) int {
	for parent[i] != i {
		parent[i] = parent[parent[i]]
		i = parent[i]
	}
	return i
}

// join makes the earlier root the parent, so that lanes come in the order of
// their first event.
func join(parent []int, a, b int) {
	a, b = find(parent, a), find(parent, b)
	parent[max(a, b)] = min(a, b)
}
