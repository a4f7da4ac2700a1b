package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datasync-bridge/config"
)

// written is a whole configuration with these rules.
func written(t *testing.T, rules string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "version: 1\nnotifiers: [{name: screen, terminal: {}}]\n" +
		"sources:\n  - name: datasync\n    path: /hooks/datasync\n    verify: {scheme: github, secrets: [{id: a, value: \"${S}\"}]}\n" +
		"defaults: {notify: [screen]}\nrules:\n" + rules
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestALongFileIsNotTakenForADeepOne(t *testing.T) {
	var rules strings.Builder
	for n := range 500 {
		fmt.Fprintf(&rules, "  - name: rule-%d\n    match:\n      type:\n        - transaction.failed\n      transaction.id: \"t%d\"\n    notify: [screen]\n", n, n)
	}
	if _, err := config.Load(written(t, rules.String()), config.Options{Placeholders: true}); err != nil {
		t.Errorf("500 rules do not load:\n%.500s", err)
	}
}

func TestADeepFileIsRefused(t *testing.T) {
	deep := func(step string) string {
		var text strings.Builder
		for n := range 100 {
			text.WriteString(strings.Repeat(step, n) + "a:\n")
		}
		return text.String()
	}
	for name, text := range map[string]string{
		"by spaces": deep(" "), "by flow": strings.Repeat("[", 100) + strings.Repeat("]", 100), "by dashes": strings.Repeat("- ", 100) + "a",
		"by flow over lines": strings.Repeat("[\n", 100) + strings.Repeat("]\n", 100),
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(path, config.Options{}); err == nil || !strings.Contains(err.Error(), "nested deeper than 64 levels") {
			t.Errorf("%s: %.300v", name, err)
		}
	}
}
