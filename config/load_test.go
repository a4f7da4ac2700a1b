package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestKeysOfLaterVersionsBelongToSectionsOfThisOne(t *testing.T) {
	for _, path := range later {
		section, typ := "", reflect.TypeFor[Config]()
		keys := strings.Split(path, ".")
		for i, key := range keys {
			name, _ := strings.CutSuffix(key, "[]")
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			f, known := fieldsOf(typ).find(name)
			if i == len(keys)-1 {
				if known {
					t.Errorf("%s is a key of this version and still in the list of later ones", path)
				}
				break
			}
			if !known {
				t.Errorf("%s: %s has no key %q", path, section, name)
				break
			}
			section, typ = join(section, name), f.Type
			if typ.Kind() == reflect.Slice {
				typ = typ.Elem()
			}
		}
	}
}

func TestDeepNestingIsRefusedBeforeItIsParsed(t *testing.T) {
	for name, text := range map[string]string{
		"flow lists":    strings.Repeat("[", 100_000),
		"flow mappings": strings.Repeat("{a: ", 50_000),
		"dashes":        strings.Repeat("- ", 100_000),
		"indentation":   staircase(1000),
		"a large file":  "a: " + strings.Repeat("x", maxFile),
		"bad UTF-8":     "a: \xff",
		"a NUL":         "a: \x00",
	} {
		if _, err := newBook("config.yaml").load([]byte(text), Options{}); err == nil {
			t.Errorf("%s: it loaded", name)
		} else if len(err.Error()) > 1000 {
			t.Errorf("%s: the faults are %d bytes long", name, len(err.Error()))
		}
	}
}

func TestAListOfFaultsEnds(t *testing.T) {
	var text strings.Builder
	for i := range 2 * maxFaults {
		fmt.Fprintf(&text, "key%d: 1\n", i)
	}
	_, err := newBook("config.yaml").load([]byte(text.String()), Options{})
	faults, _ := errors.AsType[Faults](err)
	if len(faults) != maxFaults+1 || !strings.HasPrefix(faults[maxFaults].Text, "there are more faults") {
		t.Errorf("%d faults, the last is %v", len(faults), faults[len(faults)-1])
	}
}

func staircase(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// FuzzLoad holds that no file makes a load panic, and that every fault says
// where it is.
func FuzzLoad(f *testing.F) {
	seeds, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range append(seeds, "../config.example.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, text := range []string{"", "a", "a: |\n b", "? a", "- - -", "{", "a: !!int x", "%YAML 1.2\n---\n", "a: 'b", "\ufeffversion: 1", "version: 1\nversion: 1", "rules: [{match: {a.b: {c: [1, {d: ~}]}}}]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := newBook("config.yaml").load([]byte(text), Options{Env: []string{"SECRET=0123456789abcdef", "BRIDGE_SERVER__LISTEN=:1"}})
		if err == nil {
			if c == nil {
				t.Fatal("neither a configuration nor faults")
			}
			return
		}
		faults, ok := err.(Faults) //nolint:errorlint // Load promises the type itself
		if !ok || len(faults) == 0 {
			t.Fatalf("the error is %T %v, want Faults", err, err)
		}
		lines := strings.Count(text, "\n") + 1
		for _, fault := range faults {
			if fault.Text == "" || (fault.Line > 0 && (fault.Col < 1 || fault.Line > lines)) {
				t.Errorf("fault without text or place: %+v", fault)
			}
			if fault.Line < 1 && fault.File == "config.yaml" {
				t.Errorf("fault of the file without a line: %+v", fault)
			}
		}
	})
}
