package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// What the bridge may hold at most: for clients that nobody knows, and for
// senders whose signature fits.
const (
	memoryLimit = 100 << 20
	signedLimit = 150 << 20
	// burstLimit goes with server.in_flight, 32 MiB of bodies at one time: each
	// is there as it is read and as it is written, and garbage is as much again.
	burstLimit = 300 << 20
)

// hostility is one hostile input and the answer that it must get.
type hostility struct {
	name string
	// send does what the name says, and returns what was answered: the distinct
	// answers, sorted. id is that of an event that was taken, if one was.
	send   func(s *served) (answers, id string)
	answer string
	// limit is the most bytes to be held, 0 for memoryLimit.
	limit int
}

// measured is a row of the table: what one hostile input cost.
type measured struct {
	name, answer      string
	peak              int // bytes
	answered, planned time.Duration
}

// TestHostileInputsCostLittleAndHinderNobody attacks the program as it is
// shipped, without the race detector, and reads from the kernel what it held.
// With HOSTILE_TABLE=1 it renews the table in docs/hostile.md (make hostile).
func TestHostileInputsCostLittleAndHinderNobody(t *testing.T) {
	t.Parallel()
	alone, together := slices.Concat(bodies(), connections()), requests()
	table := make([]measured, len(alone)+len(together))
	t.Run("beside each other", func(t *testing.T) {
		for i, h := range alone { // each on a process of its own: peaks are not handed on
			t.Run(h.name, func(t *testing.T) {
				t.Parallel()
				s := startHostile(t)
				table[i] = s.meet(h)
				s.leave()
			})
		}
		t.Run("requests", func(t *testing.T) {
			t.Parallel()
			s := startHostile(t, "BRIDGE_SERVER__FAILURE_LIMIT=100000")
			for i, h := range together {
				table[len(alone)+i] = s.meet(h)
			}
			s.leave()
		})
	})
	if os.Getenv("HOSTILE_TABLE") != "" {
		renew(t, tableOf(table))
	}
	documented(t, table)
}

// besieged is a bridge under attack.
type besieged struct {
	*served
	token  string
	serial int
}

func startHostile(t *testing.T, variables ...string) *besieged {
	t.Helper()
	config := configuration(t, newFarSide(t).url, pageShipNotices)
	process := exec.CommandContext(context.Background(), staticBinary(t), "serve", "-c", config, "--log-format", "json")
	process.Env = append(os.Environ(), append(variables, "BRIDGE_SERVER__READ_TIMEOUT=2s")...)
	s := &besieged{served: startProcess(t, process)}
	s.config, s.token = config, adminToken(t, config)
	s.goesOn()
	return s
}

// meet sends one hostile input, measures what it costs, and wants a good event
// taken and planned after it.
func (s *besieged) meet(h hostility) measured {
	s.t.Helper()
	s.forgetPeak()
	began := time.Now()
	answers, id := h.send(s.served)
	row := measured{name: h.name, answer: answers, answered: time.Since(began)}
	if answers != h.answer {
		s.t.Errorf("%s: answered %q, want %q", h.name, answers, h.answer)
	}
	if id != "" {
		s.awaitPlanned(id)
		row.planned = time.Since(began)
	}
	limit := cmp.Or(h.limit, memoryLimit)
	if row.peak = memory(s.t, s.served, "VmHWM"); row.peak > limit {
		s.t.Errorf("%s: %.1f MB were held, want under %.0f", h.name, megabytes(row.peak), megabytes(limit))
	}
	s.t.Logf("%s: %s, %.1f MB, %v, %v", row.name, row.answer, megabytes(row.peak), row.answered, row.planned)
	s.goesOn()
	return row
}

// goesOn wants a good event answered and planned.
func (s *besieged) goesOn() {
	s.t.Helper()
	s.serial++
	good := happening{id: s.serial, kind: "transaction.failed", transaction: s.serial, document: "850", partner: "01"}
	s.awaitPlanned(s.accept(good.body()))
}

// leave ends the bridge, once all its alerts are sent.
func (s *besieged) leave() {
	s.t.Helper()
	s.nothingGivenUp()
	if code := s.stop(); code != exitOK {
		s.t.Errorf("serve ended with %d after SIGTERM\n%s", code, s.log())
	}
}

// awaitPlanned waits until an event was planned.
func (s *besieged) awaitPlanned(id string) {
	s.t.Helper()
	eventually(s.t, time.Minute, id+" is planned", func() bool {
		_, _, text := fetch(s.t, s.admin+"/api/v1/events/"+id, s.token)
		var e struct {
			State string `json:"state"`
		}
		return json.Unmarshal([]byte(text), &e) == nil && e.State == "planned"
	})
}

// nothingGivenUp waits until all that was queued is sent, and wants no delivery
// that was given up: a hostile text must not cost an alert.
func (s *besieged) nothingGivenUp() {
	s.t.Helper()
	counts := map[string]int64{}
	eventually(s.t, time.Minute, "every delivery is settled", func() bool {
		_, _, text := fetch(s.t, s.admin+"/api/v1/status", s.token)
		var status struct {
			Counts map[string]int64 `json:"counts"`
		}
		if json.Unmarshal([]byte(text), &status) != nil {
			return false
		}
		counts = status.Counts
		return counts["deliveries.waiting"] == 0
	})
	if counts["events.parked"] != 0 {
		s.t.Errorf("after all of it there are %v", counts)
	}
	if _, _, text := fetch(s.t, s.admin+"/api/v1/deliveries?state=dead", s.token); !strings.Contains(text, `"items":[]`) {
		s.t.Errorf("alerts were given up: %.500s", text)
	}
}

// forgetPeak makes the kernel begin VmHWM anew.
func (s *served) forgetPeak() {
	s.t.Helper()
	path := fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid)
	if err := os.WriteFile(path, []byte("5"), 0); err != nil {
		s.t.Logf("peaks are those since the start: %v", err)
	}
}

// memory reads one of the kernel's figures about a process, in bytes.
func memory(t *testing.T, s *served, figure string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, figure+":"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("the kernel does not tell %s", figure)
	return 0
}

func megabytes(n int) float64 { return float64(n) / 1e6 }

// tableOf lays the rows out as Markdown whose columns stand under each other.
func tableOf(rows []measured) string {
	cells := [][]string{{"input", "answer", "peak MB", "answered ms", "planned ms"}, {"", "", "", "", ""}}
	for _, r := range rows {
		planned := ""
		if r.planned > 0 {
			planned = strconv.FormatInt(r.planned.Milliseconds(), 10)
		}
		cells = append(cells, []string{
			r.name, r.answer, fmt.Sprintf("%.0f", megabytes(r.peak)), strconv.FormatInt(r.answered.Milliseconds(), 10), planned,
		})
	}
	widths := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for at, row := range cells {
		for i, cell := range row {
			blank := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case at == 1 && i > 1:
				cell = strings.Repeat("-", widths[i]-1) + ":"
			case at == 1:
				cell = strings.Repeat("-", widths[i])
			case i > 1:
				cell = blank + cell
			default:
				cell += blank
			}
			out.WriteString("| " + cell + " ")
		}
		out.WriteString("|\n")
	}
	return out.String()
}

var (
	hostileDoc = filepath.Join("..", "..", "docs", "hostile.md")
	tableLines = regexp.MustCompile(`(?m)(^\|.*\n)+`)
)

// renew puts the table in the place of the one in the document.
func renew(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile(hostileDoc)
	if err != nil {
		t.Fatal(err)
	}
	text = tableLines.ReplaceAllLiteral(text, []byte(table))
	if err := os.WriteFile(hostileDoc, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// documented wants every input with its answer in the document, whatever the
// figures are on this machine.
func documented(t *testing.T, rows []measured) {
	t.Helper()
	text, err := os.ReadFile(hostileDoc)
	if err != nil {
		t.Fatal(err)
	}
	blanks := regexp.MustCompile(` +`) // the columns' widths
	plain := blanks.ReplaceAll(tableLines.Find(text), []byte(" "))
	if lines := bytes.Count(plain, []byte("\n")); lines != len(rows)+2 {
		t.Errorf("docs/hostile.md has %d lines of a table for %d inputs: run make hostile", lines, len(rows))
	}
	for _, r := range rows {
		if !bytes.Contains(plain, []byte("| "+r.name+" | "+r.answer+" |")) {
			t.Errorf("docs/hostile.md does not say that %q is answered %q: run make hostile", r.name, r.answer)
		}
	}
}

// taken posts a signed body.
func taken(body []byte) func(s *served) (answers, id string) {
	return func(s *served) (answers, id string) {
		s.t.Helper()
		a, err := post(hurried, s.public, body)
		if err != nil {
			s.t.Errorf("no answer: %v", err)
		}
		return fmt.Sprintf("%d %s", a.Status, a.Code), a.EventID
	}
}

// missigned posts bodies with a signature that is not theirs, or with none.
func missigned(signature string, bodies ...[]byte) func(s *served) (answers, id string) {
	return func(s *served) (answers, id string) {
		s.t.Helper()
		var seen []string
		for _, body := range bodies {
			request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.public+"/hooks/datasync", bytes.NewReader(body))
			if err != nil {
				s.t.Fatal(err)
			}
			if signature != "" {
				request.Header.Set("X-Datasync-Signature", signature)
			}
			seen = append(seen, s.exchange(request))
		}
		return distinct(seen), ""
	}
}

func distinct(seen []string) string {
	slices.Sort(seen)
	return strings.Join(slices.Compact(seen), ", ")
}
