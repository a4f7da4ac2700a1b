package remediation_test

import (
	"strings"
	"testing"

	"datasync-bridge/datasync/remediation"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// What a resend of each document may do in each class, written down from the
// domain's table and its rules R1 and R2, not computed:
//
//	R  mode auto runs it
//	E  mode auto runs it only where the event proves that no byte was accepted;
//	   an override may lift that
//	O  mode auto refuses it, an override may lift that; a person may approve it
//	N  mode auto refuses it whatever an override says; a person may approve it
//	X  refused in every mode
const resendTable = `
          connectivity authentication certificate configuration integrity partner validation mapping storage platform mdn_timeout mdn_negative functional_reject ack_overdue sla automation quarantine unknown bridge later
receipts  R            O              O           O             O         R       O          O       R       R        O           O            O                 O           O   X          X          O       X      N
latest    R            O              O           O             O         O       O          O       O       O        O           O            O                 O           O   X          X          O       X      N
goods     E            O              O           O             O         O       O          O       O       O        O           O            O                 O           O   X          X          O       X      N
stock     O            O              O           O             O         O       O          O       O       O        O           O            O                 O           O   X          X          O       X      N
orders    O            O              O           O             O         O       O          O       O       O        O           O            O                 O           O   X          X          O       X      N
invoices  O            O              O           O             O         O       O          O       O       O        O           O            O                 O           O   X          X          O       X      N
never     N            N              N           N             N         N       N          N       N       N        N           N            N                 N           N   X          X          N       X      N
none      X            X              X           X             X         X       X          X       X       X        X           X            X                 X           X   X          X          X       X      X
`

// Every document type that the domain names, one that nobody knows, and none.
var documentGroups = map[string][]string{
	"receipts": {"997", "999", "TA1", "CONTRL", "contrl"},
	"latest":   {"214", "846", "990", "IFTSTA"},
	"goods":    {"856", "DESADV"},
	"stock":    {"940", "945", "943", "944"},
	"orders":   {"850", "860", "204", "ORDERS", "ORDCHG", "IFTMIN"},
	"invoices": {"810", "210", "INVOIC"},
	"never":    {"820", "REMADV", "812", "830", "855", "824", "APERAK", "ORDRSP", "XYZ", "0214"},
	"none":     {"", " "},
}

// unsent makes an event prove that no connection came about.
func unsent(ev *event.Event) { ev.Fields[event.ErrorCode] = "CONNECTION_REFUSED" }

// lifting is an override of all that there is. Not even that lifts everything;
// a configuration that tries is refused when it is loaded, and so are its runs.
func lifting(classes []event.Class) remediation.Config {
	c := entry(remediation.ModeAuto)
	c.Override = &remediation.Override{By: "ana", Why: "tried", Classes: classes}
	for _, documents := range documentGroups {
		c.Override.DocumentTypes = append(c.Override.DocumentTypes, documents...)
	}
	return c
}

func TestEveryDocumentInEveryClassInEveryMode(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(resendTable), "\n")
	var classes []event.Class
	for _, name := range strings.Fields(lines[0]) {
		classes = append(classes, event.Class(name))
	}
	if len(classes) != 20 {
		t.Fatalf("%d classes, want the nineteen of the domain and one of a later version", len(classes))
	}
	known := classes[:len(classes)-1]
	lifted, problems := remediation.Compile([]remediation.Config{lifting(known)}, auto)
	if len(problems) == 0 {
		t.Error("an override of everything loads")
	}
	guards := map[string]*remediation.Guard{
		"off": compile(t, auto, entry(remediation.ModeOff)), "dry-run": compile(t, auto, entry(remediation.ModeDryRun)),
		"approve": compile(t, auto, approving()), "auto": compile(t, auto, entry(remediation.ModeAuto)), "override": lifted,
	}
	seen := 0
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		for _, document := range documentGroups[cells[0]] {
			for i, class := range classes {
				seen++
				for _, proof := range []bool{false, true} {
					ev := failure(field(event.DocumentType, document), func(ev *event.Event) { ev.Class = class })
					if proof {
						unsent(&ev)
					}
					want := expected(cells[i+1], proof)
					for mode, g := range guards {
						judge(t, mode, document, class, g.Propose(ev, named), want[mode])
					}
				}
			}
		}
	}
	if seen != 36*20 {
		t.Errorf("%d pairs of document and class were judged, want %d", seen, 36*20)
	}
}

// expected is the state in each mode, "" for no run at all.
func expected(cell string, proof bool) map[string]incident.RunState {
	const refused, dry, queued, proposed = incident.RunRefused, incident.RunDry, incident.RunQueued, incident.RunProposed
	runs := map[string]incident.RunState{"dry-run": dry, "approve": proposed, "auto": queued, "override": queued}
	asks := map[string]incident.RunState{"dry-run": refused, "approve": proposed, "auto": refused, "override": queued}
	switch {
	case cell == "R", cell == "E" && proof:
		return runs
	case cell == "E", cell == "O":
		return asks
	case cell == "N":
		asks["override"] = refused
		return asks
	}
	return map[string]incident.RunState{"dry-run": refused, "approve": refused, "auto": refused, "override": refused}
}

func judge(t *testing.T, mode, document string, class event.Class, runs []incident.Run, want incident.RunState) {
	t.Helper()
	if want == "" {
		if len(runs) != 0 {
			t.Errorf("%s %s %s: %+v, want no run", document, class, mode, runs)
		}
		return
	}
	if len(runs) != 1 || runs[0].State != want {
		t.Errorf("%s %s %s: %+v, want %s", document, class, mode, runs, want)
		return
	}
	if run := runs[0]; (want == incident.RunRefused) != (run.Params == nil) || (want == incident.RunRefused && run.Why == "") {
		t.Errorf("%s %s %s: params %v, why %q", document, class, mode, run.Params, run.Why)
	}
}

// What R1 asks of an event holds in every mode and against every override.
func TestNoModeRunsWhatIsNotToBeTrusted(t *testing.T) {
	lifted := entry(remediation.ModeAuto)
	lifted.Override = &remediation.Override{By: "ana", Why: "tried", DocumentTypes: []string{"214"}, Classes: []event.Class{event.Connectivity}}
	guards := map[string]*remediation.Guard{
		"dry-run": compile(t, auto, entry(remediation.ModeDryRun)), "approve": compile(t, auto, approving()),
		"auto": compile(t, auto, entry(remediation.ModeAuto)), "override": compile(t, auto, lifted),
	}
	for name, change := range map[string]func(*event.Event){
		"not authentic":             func(ev *event.Event) { ev.Authentic = false },
		"sandbox":                   func(ev *event.Event) { ev.Environment = event.Sandbox },
		"no environment":            func(ev *event.Event) { ev.Environment = "" },
		"replayed":                  func(ev *event.Event) { ev.Origin = event.OriginReplay },
		"of the bridge":             func(ev *event.Event) { ev.Origin = event.OriginBridge },
		"of no origin":              func(ev *event.Event) { ev.Origin = "" },
		"in conflict":               func(ev *event.Event) { ev.Conflict = true },
		"quarantined":               func(ev *event.Event) { ev.Quarantine = "no JSON" },
		"of unknown type":           func(ev *event.Event) { ev.Known = false },
		"not final":                 field(event.AttemptFinal, false),
		"a retry":                   func(ev *event.Event) { ev.Type = "transaction.retrying" },
		"a recovery":                func(ev *event.Event) { ev.Effect = event.Settle },
		"a note":                    func(ev *event.Event) { ev.Effect = event.Note },
		"nothing":                   func(ev *event.Event) { ev.Effect = event.None },
		"an automation's":           func(ev *event.Event) { ev.Type = "automation.failed" },
		"about our run":             field(event.RunKey, "resend_status:txn_1:1"),
		"about a run":               field(event.RunID, "run_1"),
		"the bridge's by its type":  func(ev *event.Event) { ev.Type = "bridge.webhooks_quiet" },
		"the bridge's by its class": func(ev *event.Event) { ev.Class = event.BridgeClass },
		"of an automation's class":  func(ev *event.Event) { ev.Class = event.AutomationFault },
		"about no transaction":      field(event.TransactionID, nil),
		"about no partner":          field(event.PartnerID, nil),
		"about no document":         field(event.DocumentType, nil),
	} {
		for mode, g := range guards {
			if runs := g.Propose(failure(change), named); len(runs) != 1 || runs[0].State != incident.RunRefused || runs[0].Why == "" {
				t.Errorf("an event that is %s, %s: %+v, want it refused", name, mode, runs)
			}
		}
	}
	for mode, g := range guards {
		if runs := g.Propose(failure(func(ev *event.Event) { ev.Origin = event.OriginReconcile }), named); runs[0].State == incident.RunRefused {
			t.Errorf("a polled event, %s: %s", mode, runs[0].Why)
		}
	}
}

func TestSandboxClientServesSandboxEventsOnly(t *testing.T) {
	o := auto
	o.Environment = event.Sandbox
	g := compile(t, o, entry(remediation.ModeAuto))
	sandbox := failure(func(ev *event.Event) { ev.Environment = event.Sandbox })
	if runs := g.Propose(sandbox, named); runs[0].State != incident.RunQueued || runs[0].Environment != event.Sandbox {
		t.Errorf("a sandbox event: %+v", runs)
	}
	if runs := g.Propose(failure(), named); runs[0].State != incident.RunRefused {
		t.Errorf("a production event would reach a sandbox: %+v", runs)
	}
}

// A ship notice is sent again by itself only if nothing of the first arrived.
func TestShipNoticeNeedsProofThatNothingArrived(t *testing.T) {
	g := compile(t, auto, entry(remediation.ModeAuto))
	notice := func(change ...func(*event.Event)) incident.RunState {
		ev := failure(append([]func(*event.Event){field(event.DocumentType, "856"), unsent}, change...)...)
		return g.Propose(ev, named)[0].State
	}
	if got := notice(); got != incident.RunQueued {
		t.Errorf("a refused connection: %s", got)
	}
	if got := notice(field(event.ErrorCode, " dns_failure ")); got != incident.RunQueued {
		t.Errorf("no such host: %s", got)
	}
	for name, change := range map[string]func(*event.Event){
		"no code":         field(event.ErrorCode, nil),
		"a timeout":       field(event.ErrorCode, "CONNECTION_TIMEOUT"),
		"an HTTP answer":  field("transport.http_status", float64(503)),
		"it was sent":     field("transport.sent_at", failureTime),
		"an MDN awaited":  field("mdn.mode", "async"),
		"an MDN that was": field(event.Disposition, "processed"),
	} {
		if got := notice(change); got != incident.RunRefused {
			t.Errorf("%s: %s, want it refused", name, got)
		}
	}
	c := entry(remediation.ModeAuto)
	c.UnsentCodes = []string{"E_NO_ROUTE"}
	g = compile(t, auto, c)
	if notice() != incident.RunRefused || notice(field(event.ErrorCode, "E_NO_ROUTE")) != incident.RunQueued {
		t.Error("unsent_codes does not replace the list")
	}
}

func TestReprocessingRunsByItselfOnlyWhereConfirmed(t *testing.T) {
	c := entry(remediation.ModeAuto)
	c.Does = remediation.Reprocess
	if _, problems := remediation.Compile([]remediation.Config{c}, auto); len(problems) != 1 || problems[0].Path != "remediations[0].idempotent.confirmed_by" {
		t.Errorf("problems %+v", problems)
	}
	dry := c
	dry.Mode = remediation.ModeDryRun
	shipment := func(g *remediation.Guard, document string, class event.Class) incident.Run {
		return g.Propose(failure(field(event.DocumentType, document), func(ev *event.Event) { ev.Class = class }), named)[0]
	}
	if run := shipment(compile(t, auto, dry), "945", event.Platform); run.State != incident.RunRefused || !contains(run.Why, "confirmed") {
		t.Errorf("unconfirmed: %+v", run)
	}
	c.Idempotent.ConfirmedBy = "ana"
	g := compile(t, auto, c)
	for _, tt := range []struct {
		document string
		class    event.Class
		want     incident.RunState
	}{
		{"945", event.Platform, incident.RunQueued}, {"940", event.Connectivity, incident.RunQueued}, {"856", event.Connectivity, incident.RunQueued},
		{"945", event.MappingFault, incident.RunRefused}, {"945", event.MDNTimeout, incident.RunRefused}, {"945", event.Certificate, incident.RunRefused},
		{"810", event.Platform, incident.RunRefused}, {"850", event.Platform, incident.RunRefused}, {"820", event.Platform, incident.RunRefused},
		{"XYZ", event.Platform, incident.RunRefused}, {"214", event.Connectivity, incident.RunRefused},
	} {
		if run := shipment(g, tt.document, tt.class); run.State != tt.want {
			t.Errorf("%s %s: %s (%s), want %s", tt.document, tt.class, run.State, run.Why, tt.want)
		}
	}
}

// A receipt says that a message was accepted: it is never made where a
// security check failed, whoever approves it.
func TestReceiptIsRegeneratedOnlyForInboundMessagesInOrder(t *testing.T) {
	for _, mode := range []string{remediation.ModeAuto, remediation.ModeApprove} {
		c := approving()
		c.Mode, c.Does = mode, remediation.Regenerate
		g := compile(t, auto, c)
		inbound := func(change ...func(*event.Event)) incident.Run {
			ev := failure(append([]func(*event.Event){field(event.Direction, "inbound"), field(event.DocumentType, "850"),
				func(ev *event.Event) { ev.Class = event.MDNTimeout }}, change...)...)
			return g.Propose(ev, named)[0]
		}
		if run := inbound(); run.State == incident.RunRefused {
			t.Errorf("%s: a lost receipt: %s", mode, run.Why)
		}
		class := func(class event.Class) func(*event.Event) { return func(ev *event.Event) { ev.Class = class } }
		for name, change := range map[string][]func(*event.Event){
			"outbound":                    {field(event.Direction, "outbound")},
			"of no direction":             {field(event.Direction, nil)},
			"a bad certificate":           {class(event.Certificate)},
			"a bad signature":             {class(event.Authentication)},
			"a damaged body":              {class(event.Integrity)},
			"a negative MDN of no cause":  {class(event.MDNNegative)},
			"a failed authentication":     {class(event.MDNNegative), field(event.Disposition, "processed/error: authentication-failed")},
			"a failed decryption":         {class(event.MDNNegative), field(event.Disposition, "processed/Error: Decryption-Failed")},
			"insufficient security":       {class(event.MDNNegative), field(event.Disposition, "processed/error: insufficient-message-security")},
			"a certificate by category":   {field(event.ErrorCategory, "certificate")},
			"a MIC that was not verified": {field("mdn.mic_verified", false)},
		} {
			if run := inbound(change...); run.State != incident.RunRefused {
				t.Errorf("%s, %s: %s, want it refused", mode, name, run.State)
			}
		}
		ours := inbound(class(event.MDNNegative), field(event.Disposition, "processed/error: unexpected-processing-error"))
		if asks := ours.State == incident.RunProposed; asks != (mode == remediation.ModeApprove) {
			t.Errorf("%s, a negative MDN that was no security check's: %s (%s)", mode, ours.State, ours.Why)
		}
	}
}

func TestOverrideNamesItselfAndLiftsWhatItNamesAlone(t *testing.T) {
	c := entry(remediation.ModeAuto)
	c.Override = &remediation.Override{By: "ana", Why: "the partner drops doubles", DocumentTypes: []string{"orders"}, Classes: []event.Class{event.Connectivity}}
	g := compile(t, auto, c)
	order := func(change ...func(*event.Event)) incident.Run {
		return g.Propose(failure(append([]func(*event.Event){field(event.DocumentType, "ORDERS")}, change...)...), named)[0]
	}
	if run := order(); run.State != incident.RunQueued || run.Override != "ana: the partner drops doubles" {
		t.Errorf("what it names: %+v", run)
	}
	for name, change := range map[string]func(*event.Event){
		"another document":    field(event.DocumentType, "850"),
		"another class":       func(ev *event.Event) { ev.Class = event.Platform },
		"a credit by name":    field(event.DocumentName, "Credit note"),
		"a payment by name":   field(event.DocumentName, "payment_order"),
		"an inbound document": field(event.Direction, "inbound"),
	} {
		if run := order(change); run.State != incident.RunRefused || run.Override != "" {
			t.Errorf("%s: %+v, want it refused without the override's name", name, run)
		}
	}
	if run := order(field(event.DocumentType, "214")); run.State != incident.RunQueued || run.Override != "" {
		t.Errorf("what needs no override: %+v", run)
	}
}

func TestApprovalNeedsTwoAboveAnAmount(t *testing.T) {
	g := compile(t, auto, approving(func(c *remediation.Config) { c.Approve.TwoAbove = "10000" }))
	for _, tt := range []struct {
		document string
		amount   any
		want     int
	}{
		{"810", 9999.99, 1}, {"810", 10000.0, 1}, {"810", 10000.01, 2}, {"810", -20000.0, 2},
		{"810", nil, 2}, {"820", nil, 2}, {"850", nil, 1}, {"850", 50000.0, 2}, {"214", nil, 1},
	} {
		run := g.Propose(failure(field(event.DocumentType, tt.document), field(event.Amount, tt.amount)), named)[0]
		if run.State != incident.RunProposed || run.Approval.Needed != tt.want || len(run.Approval.By) != 2 || run.Approval.Lasts != remediation.DefaultExpiry {
			t.Errorf("%s of %v: %+v, want %d approvals", tt.document, tt.amount, run, tt.want)
		}
	}
	run := compile(t, auto, approving()).Propose(failure(field(event.DocumentType, "810")), named)[0]
	if run.Approval.Needed != 1 {
		t.Errorf("without two_above %d are needed", run.Approval.Needed)
	}
}

func TestWhoIsAskedIsWarned(t *testing.T) {
	g := compile(t, auto, approving())
	run := g.Propose(failure(field(event.DocumentType, "810"), func(ev *event.Event) { ev.Class = event.MDNTimeout }), named)[0]
	if !contains(run.Why, "delivery is unknown and a resend may duplicate the document") || !contains(run.Why, "double payment") {
		t.Errorf("why %q", run.Why)
	}
}

func TestMoneyIsKnownByTypeOrName(t *testing.T) {
	for _, tt := range []struct {
		document, name string
		want           bool
	}{
		{"810", "", true}, {"210", "", true}, {"invoic", "", true}, {"820", "", true}, {" REMADV ", "", true}, {"812", "", true},
		{"850", "Credit_Note", true}, {"XYZ", "payment advice", true}, {"", "invoice", true},
		{"850", "purchase_order", false}, {"856", "", false}, {"214", "", false}, {"XYZ", "", false}, {"", "", false},
	} {
		if got := remediation.Money(tt.document, tt.name); got != tt.want {
			t.Errorf("Money(%q, %q) = %v", tt.document, tt.name, got)
		}
	}
}
