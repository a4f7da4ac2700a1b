package sandbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
)

// sample returns the body of one of the sample events.
func sample(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/sample_events.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Case string
			Body json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, c := range file.Cases {
		if c.Case == name {
			return c.Body
		}
	}
	t.Fatalf("no sample %q", name)
	return nil
}

// shape lists the paths of a JSON object with the kinds of their values.
func shape(t *testing.T, body []byte) []string {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	var list []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		m, object := v.(map[string]any)
		if !object {
			list = append(list, fmt.Sprintf("%s %T", path, v))
			return
		}
		for key, one := range m {
			if path != "" {
				key = path + "." + key
			}
			walk(key, one)
		}
	}
	walk("", v)
	slices.Sort(list)
	return list
}

func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}
