package config_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing"
)

var update = flag.Bool("update", false, "renew the golden files")

const example = "../config.example.yaml"

// small is a configuration with nothing but what is needed.
const small = `version: 1
sources:
  - name: datasync
    path: /hooks/datasync
    verify: {scheme: github, secrets: [{value: "0123456789abcdef"}]}
notifiers:
  - {name: screen, terminal: {}}
defaults:
  notify: [screen]
`

func load(t *testing.T, text string, o config.Options) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(file, o)
}

func mustLoad(t *testing.T, text string, o config.Options) *config.Config {
	t.Helper()
	c, err := load(t, text, o)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return c
}

// faultsOf loads text, which must fail, and returns its faults without the
// temporary folder's name.
func faultsOf(t *testing.T, text string, o config.Options) string {
	t.Helper()
	c, err := load(t, text, o)
	if err == nil {
		t.Fatalf("it loaded: %+v", c)
	}
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		t.Fatalf("the error is a %T, want Faults", err)
	}
	for i := range faults {
		if faults[i].Line > 0 {
			faults[i].File = filepath.Base(faults[i].File)
		}
	}
	return faults.Error()
}

func TestEveryFaultIsReportedAtItsPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := faultsOf(t, string(text), config.Options{Env: []string{"LISTEN_ADDRESS=:8081", "SECRET=0123456789abcdef"}}) + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

var exampleEnv = []string{
	"DATASYNC_WEBHOOK_SECRET=canary-0123456789abcdef",
	"SLACK_BOT_TOKEN=xoxb-canary",
	"PAGERDUTY_ROUTING_KEY=canary7890123456789012345678901X",
}

func TestTheExampleLoadsWithItsVariablesSet(t *testing.T) {
	c, err := config.Load(example, config.Options{Env: exampleEnv})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sources) != 1 || len(c.Notifiers) != 2 || len(c.Rules) != 6 || len(c.Remediations) != 1 {
		t.Errorf("it has %d sources, %d notifiers, %d rules, %d remediations", len(c.Sources), len(c.Notifiers), len(c.Rules), len(c.Remediations))
	}
	if got := c.Sources[0].Verify.Secrets[0].Value.Reveal(); got != "canary-0123456789abcdef" {
		t.Errorf("the webhook secret is %q", got)
	}
	_, err = config.Load(example, config.Options{})
	for _, pair := range exampleEnv {
		name, _, _ := strings.Cut(pair, "=")
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without variables the faults do not name %s: %v", name, err)
		}
	}
	if faults, _ := errors.AsType[config.Faults](err); slices.ContainsFunc(faults, func(f config.Fault) bool {
		return !f.Warning && !strings.Contains(f.Text, "environment variable")
	}) {
		t.Errorf("without variables there are other faults too:\n%v", err)
	}
}

func TestSecretsArePrintedNowhere(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	full := string(text) + "\ndatasync: {client_id: me, client_secret: canary-client}\n"
	full = strings.Replace(full, "notifiers:\n", "notifiers:\n  - {name: hook, slack: {webhook_url: \"https://hooks.slack.com/services/canary\"}}\n", 1)
	c := mustLoad(t, full, config.Options{Env: exampleEnv})
	var out bytes.Buffer
	values := []any{c, *c, c.Sources, c.Sources[0].Verify, *c.Sources[0].Verify, c.Datasync, c.Routing(), c.Names()}
	for i := range c.Notifiers {
		n := c.Notifiers[i]
		values = append(values, n, n.Slack, n.PagerDuty)
		if n.Slack != nil {
			values = append(values, *n.Slack)
		}
	}
	for _, v := range values {
		fmt.Fprintf(&out, "%v %+v %#v\n", v, v, v)
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("config", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("config", "v", v)
	}
	if i := strings.Index(out.String(), "canary"); i >= 0 {
		t.Errorf("a secret is printed: …%s…", out.String()[max(0, i-80):i+20])
	}
	if !strings.Contains(out.String(), "<redacted>") {
		t.Error("nothing was redacted; the test looks at the wrong values")
	}
	if c.Datasync.ClientSecret.Reveal() != "canary-client" {
		t.Error("the secret did not load; the test proves nothing")
	}
}

func TestFaultsDoNotRepeatSecrets(t *testing.T) {
	bad := strings.Replace(small, "terminal: {}", "slack: {token: 123456789, channel: {a: canary}, webhook_url: [canary]}, pagerduty: {routing_key: canary}", 1)
	got := faultsOf(t, bad, config.Options{Env: []string{"BRIDGE_DATASYNC__CLIENT_SECRET=canary"}})
	if strings.Contains(got, "canary") || strings.Contains(got, "123456789") {
		t.Errorf("a fault holds a secret:\n%s", got)
	}
}

func TestVariablesLieOverTheFileAndFlagsOverBoth(t *testing.T) {
	text := small + "server: {listen: \":1\", concurrency: 5}\nstore: {retain: {events: 20d}}\n"
	c := mustLoad(t, text, config.Options{
		Env: []string{
			"BRIDGE_SERVER__LISTEN=:2", "BRIDGE_SERVER__CONCURRENCY=7", "BRIDGE_STORE__RETAIN__EVENTS=30d",
			"BRIDGE_SERVER__BODY_LIMIT=2MiB", "BRIDGE_DEFAULTS__REPEAT=2h", "BRIDGE_DEFAULTS__GROUP__WAIT=5s",
			"BRIDGE_DATASYNC__CLIENT_ID=0123", "BRIDGE_DATASYNC__CLIENT_SECRET=a${b}$$c",
			"BRIDGE_AUTOMATIONS=off", "HOME=/root",
		},
		Flags: map[string]string{"server.listen": ":3"},
	})
	if c.Server.Listen != ":3" || c.Server.Concurrency != 7 || c.Server.BodyLimit != 2<<20 {
		t.Errorf("server is %+v", c.Server)
	}
	if c.Store.Retain.Events != 30*24*time.Hour || c.Defaults.Group.Wait == nil || *c.Defaults.Group.Wait != 5*time.Second {
		t.Errorf("retain is %+v, group %+v", c.Store.Retain, c.Defaults.Group)
	}
	if got := c.Defaults.Repeat["info"]; time.Duration(got) != 2*time.Hour {
		t.Errorf("repeat is %v", c.Defaults.Repeat)
	}
	if c.Datasync.ClientID != "0123" || c.Datasync.ClientSecret.Reveal() != "a${b}$$c" {
		t.Errorf("a variable's text was changed: %q, %q", c.Datasync.ClientID, c.Datasync.ClientSecret.Reveal())
	}
	if strings.Contains(c.Warnings.Error(), "BRIDGE_") {
		t.Errorf("a variable that was used, or is no key, is warned of: %v", c.Warnings)
	}
}

func TestFaultsInVariablesNameTheVariable(t *testing.T) {
	for _, tt := range []struct{ name, pair, want string }{
		{"a number", "BRIDGE_SERVER__CONCURRENCY=many", "BRIDGE_SERVER__CONCURRENCY: server.concurrency: must be a whole number"},
		{"a duration", "BRIDGE_SERVER__READ_TIMEOUT=5", `BRIDGE_SERVER__READ_TIMEOUT: server.read_timeout: "5" is no duration`},
		{"a room's fault", "BRIDGE_SERVER__LISTEN=nowhere", `BRIDGE_SERVER__LISTEN: server.listen: "nowhere" is no host:port`},
		{"an unknown key", "BRIDGE_SERVER__LISTN=x", `BRIDGE_SERVER__LISTN: server.listn: is not a known key; did you mean "listen"?`},
		{"an unknown section", "BRIDGE_SERVR__LISTEN=x", `BRIDGE_SERVR__LISTEN: servr: is not a known key; did you mean "server"?`},
		{"a list", "BRIDGE_DEFAULTS__NOTIFY=screen", "BRIDGE_DEFAULTS__NOTIFY: defaults.notify: is not a single value; set it in the file"},
		{"inside a list", "BRIDGE_NOTIFIERS__0__NAME=x", "BRIDGE_NOTIFIERS__0__NAME: notifiers.0: is part of a list, which variables and flags cannot reach; set it in the file"},
		{"below a value", "BRIDGE_SERVER__LISTEN__X=x", `BRIDGE_SERVER__LISTEN__X: server.listen.x: has no key "x" below it`},
	} {
		if got := faultsOf(t, small, config.Options{Env: []string{tt.pair}}); !strings.Contains(got, tt.want) {
			t.Errorf("%s: faults are\n%s\nwant %s", tt.name, got, tt.want)
		}
	}
	got := faultsOf(t, small, config.Options{Flags: map[string]string{"server.listen": "nowhere", "sever.x": "1"}})
	for _, want := range []string{"flag server.listen: server.listen: ", "flag sever.x: sever: is not a known key"} {
		if !strings.Contains(got, want) {
			t.Errorf("faults are\n%s\nwant %s", got, want)
		}
	}
}

func TestVariablesOfAnOrchestratorOnlyWarn(t *testing.T) {
	c := mustLoad(t, small, config.Options{Env: []string{"BRIDGE_SERVICE_HOST=10.0.0.1", "BRIDGE_PORT=tcp://10.0.0.1:80"}})
	if got := c.Warnings.Error(); !strings.Contains(got, "BRIDGE_SERVICE_HOST: warning: is not used") || !strings.Contains(got, "BRIDGE_PORT: warning") {
		t.Errorf("warnings: %s", got)
	}
}

func TestAVariableMendsWhatTheFileHasWrong(t *testing.T) {
	text := small + "server: {listen: 8080}\n"
	if c := mustLoad(t, text, config.Options{Env: []string{"BRIDGE_SERVER__LISTEN=:8080"}}); c.Server.Listen != ":8080" {
		t.Errorf("listen is %q", c.Server.Listen)
	}
}

func TestRouting37_ExpandsPerValueOnlyWhereAllowed(t *testing.T) {
	text := strings.Replace(small, "0123456789abcdef", `$${A}-${A}${B}-$$-$C-$`, 1) +
		"server: {public_url: \"https://${HOST}\"}\nstore: {sqlite: {path: \"${DIR}/bridge.db\"}}\n" +
		"rules: [{name: a, match: {partner.id: \"$${x}\"}, notify: [screen]}]\n"
	c := mustLoad(t, text, config.Options{Env: []string{"A=first: value", "B=\"${A}\"", "HOST=ops.example.com", "DIR=/data"}})
	if got, want := c.Sources[0].Verify.Secrets[0].Value.Reveal(), `${A}-first: value"${A}"-$$-$C-$`; got != want {
		t.Errorf("the secret is %q, want %q", got, want)
	}
	if c.Server.PublicURL != "https://ops.example.com" || c.Store.SQLite.Path != "/data/bridge.db" {
		t.Errorf("address and path are %q and %q", c.Server.PublicURL, c.Store.SQLite.Path)
	}
	if got := c.Rules[0].Match["partner.id"]; got != "${x}" {
		t.Errorf("a literal ${ in a match became %q", got)
	}
}

func TestRouting37_ReadsASecretFromAFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	with := func(path string) string {
		return strings.Replace(small, `value: "0123456789abcdef"`, fmt.Sprintf("value_file: %q", path), 1)
	}
	for name, text := range map[string]string{"plain": "from-a-file-0123456\n\n", "windows": "from-a-file-0123456\n\r\n", "bare": "from-a-file-0123456\n"} {
		c := mustLoad(t, with("${DIR}/"+name), config.Options{Env: []string{"DIR=" + filepath.Dir(write(name, text, 0o600))}})
		want := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
		if got := c.Sources[0].Verify.Secrets[0].Value.Reveal(); got != want {
			t.Errorf("%s: the secret is %q, want %q: one newline is cut", name, got, want)
		}
		if strings.Contains(c.Warnings.Error(), "chmod") {
			t.Errorf("%s: a private file is warned of: %v", name, c.Warnings)
		}
	}
	c := mustLoad(t, with(write("shared", "from-a-file-0123456", 0o644)), config.Options{})
	if !strings.Contains(c.Warnings.Error(), "sources[0].verify.secrets[0].value_file: can be read by every user") {
		t.Errorf("a shared file is not warned of: %v", c.Warnings)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"missing", dir + "/canary", "value_file: cannot be read: no such file"},
		{"a folder", dir, "value_file: cannot be read: is a directory"},
		{"empty", write("empty", "\n", 0o600), "value_file: names an empty file"},
		{"huge", write("huge", strings.Repeat("x", 70<<10), 0o600), "value_file: names a file of more than 64 KiB"},
	} {
		got := faultsOf(t, with(tt.path), config.Options{})
		if !strings.Contains(got, tt.want) || strings.Contains(got, "canary") {
			t.Errorf("%s: faults are\n%s\nwant %s, once", tt.name, got, tt.want)
		}
	}
	viaVariable := "version: 1\n" + strings.TrimPrefix(small, "version: 1\n") + "datasync: {client_id: me}\n"
	c = mustLoad(t, viaVariable, config.Options{Env: []string{"BRIDGE_DATASYNC__CLIENT_SECRET_FILE=" + write("v", "by-variable", 0o600)}})
	if got := c.Datasync.ClientSecret.Reveal(); got != "by-variable" {
		t.Errorf("the secret named by a variable is %q", got)
	}
}

func TestMatchValuesStayAsTyped(t *testing.T) {
	c := mustLoad(t, small+`rules:
  - name: first
    match:
      data.text: "0123"
      data.flag: true
      data.number: 12.50
      data.list: [a, 1, false]
      data.map: {gte: 5, not: "x"}
      partner.id: acme.com
    notify: [screen]

  - {name: second, notify: [screen], match: {}}
`, config.Options{})
	want := routing.Match{
		"data.text": "0123", "data.flag": true, "data.number": json.Number("12.50"),
		"data.list": []any{"a", json.Number("1"), false},
		"data.map":  map[string]any{"gte": json.Number("5"), "not": "x"}, "partner.id": "acme.com",
	}
	if diff := cmp.Diff(want, c.Rules[0].Match); diff != "" {
		t.Errorf("match (-want +got):\n%s", diff)
	}
	if c.Rules[0].Line != 11 || c.Rules[1].Line != 21 {
		t.Errorf("rules stand on lines %d and %d, want 11 and 21", c.Rules[0].Line, c.Rules[1].Line)
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	c := mustLoad(t, small, config.Options{})
	if c.Server.Listen != ":8080" || c.Admin.Listen != "127.0.0.1:9090" || c.Store.SQLite.Path != "./data/bridge.db" ||
		c.Notifiers[0].Retry.First != time.Second || c.Defaults.TimeZone != "UTC" || c.Sources[0].SuccessStatus != 202 {
		t.Errorf("defaults are missing: %+v", c)
	}
	if c.Defaults.Severity != nil {
		t.Error("a list of severities that is not in the file must stay routing's own")
	}
	if want := "sha256 of the file"; len(c.Hash) != 64 || !strings.HasPrefix(c.Hash, c.ShortHash()) || len(c.ShortHash()) != 12 {
		t.Errorf("the hash is %q and short %q, want %s", c.Hash, c.ShortHash(), want)
	}
	if other := mustLoad(t, small+"\n", config.Options{}); other.Hash == c.Hash {
		t.Error("another file has the same hash")
	}
}

func TestNotifierTraitsSayWhatPlanningMustKnow(t *testing.T) {
	c, err := config.Load(example, config.Options{Env: exampleEnv})
	if err != nil {
		t.Fatal(err)
	}
	traits := c.NotifierTraits()
	slack, pager := traits["edi-slack"], traits["edi-pager"]
	if slack.Pager || !slack.Edits || slack.Destination != "C0123ABCD" || slack.Name != "edi-slack" {
		t.Errorf("slack is %+v", slack)
	}
	if !pager.Pager || pager.Edits || pager.FallbackTo != "edi-slack" || pager.FallbackAfter != 3*time.Minute ||
		pager.Fingerprint == "" || strings.Contains(fmt.Sprint(traits), "canary") {
		t.Errorf("the pager is %+v", pager)
	}
	if names := c.Names(); !names.Remediations["resend-status"] || !slices.Contains(names.Types, "mdn.timeout") || names.Aliases["sla.missed"] != "sla.violated" {
		t.Errorf("names are %+v", names)
	}
	table, problems := routing.Compile(c.Routing(), c.Names())
	if table == nil || len(problems) != 0 {
		t.Errorf("the example's rules do not compile: %v", problems)
	}
}

func TestAFileThatCannotBeReadIsOneFault(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none.yaml"), t.TempDir()} {
		_, err := config.Load(path, config.Options{})
		faults, ok := errors.AsType[config.Faults](err)
		if !ok || len(faults) != 1 || faults[0].File != path || !strings.Contains(faults[0].Text, "cannot be read") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestEveryKeyOfTheRoomsCanBeDecoded(t *testing.T) {
	// A field of a kind that the decoder lacks would panic on first use. This
	// walks the types, so that a new field is noticed here.
	texts := reflect.TypeFor[encoding.TextUnmarshaler]()
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		if typ.Kind() == reflect.Float64 && reflect.PointerTo(typ).Implements(texts) {
			return // it reads itself
		}
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(path+"[]", typ.Elem())
		case reflect.Struct:
			if typ == reflect.TypeFor[time.Time]() || typ == reflect.TypeFor[event.Moment]() {
				return
			}
			for f := range typ.Fields() {
				tag, ok := f.Tag.Lookup("koanf")
				if !ok {
					t.Errorf("%s.%s has no koanf tag", path, f.Name)
				} else if tag != "-" {
					walk(path+"."+tag, f.Type)
				}
			}
		case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Interface, reflect.Uint8:
		default:
			t.Errorf("%s is a %s, which cannot be decoded", path, typ)
		}
	}
	walk("", reflect.TypeFor[config.Config]())
}

func TestARedactionThatWouldTakeTheTypeIsRefused(t *testing.T) {
	text := strings.Replace(small, "sources:", "store: {redact: [data.partner.name, \"a[b\", event]}\nsources:", 1)
	want := `config.yaml:2:37: store.redact[1]: "a[b": write a condition as key[field=value]
config.yaml:2:44: store.redact[2]: "event" would blank event.type, where source "datasync" looks for an event's type; name what is below it`
	if got := faultsOf(t, text, config.Options{}); strings.TrimSpace(got) != want {
		t.Errorf("faults:\n%s\nwant:\n%s", got, want)
	}
}
