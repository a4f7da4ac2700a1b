package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datasync-bridge/config"
	"datasync-bridge/event"
)

type other struct {
	Name   string       `koanf:"name"`
	Port   int          `koanf:"port"`
	Secret event.Secret `koanf:"secret"`
	List   []struct {
		Kind string `koanf:"kind"`
	} `koanf:"list"`
}

func TestAnotherFileIsReadAsStrictly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"secret.txt": "canary-of-a-file\n",
		"good.yaml":  "name: A\nport: 22\nsecret_file: secret.txt\nlist:\n  - kind: x\n",
		"good.json":  "{\n\t\"name\": \"A\",\n\t\"port\": 22,\n\t\"secret\": \"${CANARY}\",\n\t\"list\": [{\"kind\": \"x\"}]\n}\n",
		"bad.yaml":   "nam: A\nport: \"22\"\nsecret: 12345\nlist:\n  - {kind: x, knd: y}\n",
		"bad.json":   "{\"name\": \"A\", \"nam\": \"B\"}",
		"broken":     "name: [canary-of-a-file",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		file   string
		secret string
		faults []string // beginnings, behind the folder
	}{
		{"good.yaml", "canary-of-a-file", nil},
		{"good.json", "canary-of-a-variable", nil},
		{"bad.yaml", "", []string{
			"bad.yaml:1:1: nam: is not a known key; did you mean \"name\"?", "bad.yaml:2:1: port: must be a whole number",
			"bad.yaml:3:1: secret: must be text in quotes", "bad.yaml:5:15: list[0].knd: is not a known key",
		}},
		{"bad.json", "", []string{"bad.json:1:15: nam: is not a known key"}},
		{"broken", "", []string{"broken:1:7: "}},
		{"missing", "", []string{"missing: cannot be read"}},
	} {
		var o other
		warnings, err := config.Read(filepath.Join(dir, tt.file), &o, config.Options{Env: []string{"CANARY=canary-of-a-variable"}},
			func(report config.Report) {
				report("name", "is looked at", true)
			})
		if tt.faults == nil {
			if err != nil || o.Name != "A" || o.Port != 22 || o.Secret.Reveal() != tt.secret || len(o.List) != 1 ||
				len(warnings) != 1 || !strings.Contains(warnings[0].String(), "warning: name: is looked at") {
				t.Errorf("%s: %+v, %v, %v", tt.file, o, warnings, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: no fault", tt.file)
			continue
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: a fault holds a secret: %v", tt.file, err)
		}
		for _, want := range tt.faults {
			if !strings.Contains(err.Error(), filepath.Join(dir, want)) {
				t.Errorf("%s: %v\nlacks %s", tt.file, err, want)
			}
		}
	}
}

func TestTheOwnerOfTheKeysAddsItsFaultsAtTheirPlaces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte("name: A\nlist:\n  - kind: x\n  - kind: y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var o other
	_, err := config.Read(path, &o, config.Options{}, func(report config.Report) {
		report("list[1].kind", "is none", false)
		report("", "is not enough", false)
	})
	if err == nil || !strings.Contains(err.Error(), path+":4:5: list[1].kind: is none") || !strings.Contains(err.Error(), path+":1:1: is not enough") {
		t.Errorf("faults %v", err)
	}
}
