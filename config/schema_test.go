package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"datasync-bridge/config"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refusals are the paths that the schema refuses, spelled as faults spell them.
func refusals(t *testing.T, s *jsonschema.Schema, text []byte) []string {
	t.Helper()
	plain := config.Plain(text)
	if plain == nil {
		t.Skip("no YAML that the bridge reads")
	}
	err := s.Validate(asEditor(plain))
	if err == nil {
		return nil
	}
	failed, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		t.Fatal(err)
	}
	var paths []string
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		paths = append(paths, spelled(e.InstanceLocation))
		for _, c := range e.Causes {
			walk(c)
		}
	}
	for _, c := range failed.Causes {
		walk(c)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func spelled(location []string) string {
	path := ""
	for _, token := range location {
		switch _, err := strconv.Atoi(token); {
		case err == nil && path != "":
			path += "[" + token + "]"
		case path == "":
			path = token
		default:
			path += "." + token
		}
	}
	return path
}

// asEditor gives numbers as a YAML 1.2 reader gives them: leading zeros and
// underscores are lost.
func asEditor(v any) any {
	switch v := v.(type) {
	case json.Number:
		if json.Valid([]byte(v)) {
			return v
		}
		plain := strings.ReplaceAll(v.String(), "_", "")
		if n, err := strconv.ParseInt(plain, 10, 64); err == nil {
			return json.Number(strconv.FormatInt(n, 10))
		}
		if n, err := strconv.ParseInt(plain, 0, 64); err == nil {
			return json.Number(strconv.FormatInt(n, 10))
		}
		return v.String()
	case map[string]any:
		for key, item := range v {
			v[key] = asEditor(item)
		}
	case []any:
		for i, item := range v {
			v[i] = asEditor(item)
		}
	}
	return v
}

func TestTheSchemaAcceptsWhatLoads(t *testing.T) {
	s := compiledSchema(t)
	files := []string{example, "../docs/rehearsal.yaml"}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := refusals(t, s, text); len(got) > 0 {
			t.Errorf("%s: the schema refuses %q", file, got)
		}
		uncommented := uncomment.ReplaceAllString(string(text), "$1")
		if plain := config.Plain([]byte(uncommented)); plain == nil {
			continue // not all of its comments are keys
		}
		if got := refusals(t, s, []byte(uncommented)); len(got) > 0 {
			t.Errorf("%s: the schema refuses %q of what its comments show", file, got)
		}
	}
	if got := refusals(t, s, []byte(small)); len(got) > 0 {
		t.Errorf("the smallest configuration: the schema refuses %q", got)
	}
}

// uncomment finds lines that show a key behind a comment sign.
var uncomment = regexp.MustCompile(`(?m)^( *)# (?:(?:[a-z_]+:)|- \{)`)

// unseen are faults that no schema can see: what keys say about each other,
// what only the rooms know, and how a number was spelled.
var unseen = regexp.MustCompile(`no notifier named|is also the name|is the name of|is the path of|is a secret of|no remediation named|` +
	`no field named|holds \{url\}|is a pager; |has a fallback itself|names the notifier itself|is retired and|is also server\.listen|` +
	`reachable from other machines|needs datasync\.client_id|is a duplicate key|must be at least first|in plain digits \(got 0|` +
	`read differently by different programs|needs at least one secret|which is not set|cannot be read|name the header that carries|cannot hold|` +
	`^warning: `)

var faultLine = regexp.MustCompile(`^config\.yaml:\d+:\d+: (warning: )?([^ ]+): (.*)$`)

func TestRouting38TheSchemaRefusesEachFaultThatASchemaCanSee(t *testing.T) {
	s := compiledSchema(t)
	files, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	seen := 0
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			faults, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			refused, plain := refusals(t, s, text), config.Plain(text)
			for line := range strings.Lines(string(faults)) {
				m := faultLine.FindStringSubmatch(strings.TrimSpace(line))
				if m == nil || m[1] != "" || unseen.MatchString(m[3]) {
					continue
				}
				if !slices.Contains(refused, m[2]) && !slices.Contains(refused, around(plain, m[2])) {
					t.Errorf("the schema does not see %q", strings.TrimSpace(line))
				}
				seen++
			}
		})
	}
	if seen < 40 {
		t.Errorf("only %d faults were compared", seen)
	}
}

// around is the nearest thing around a path that is there: a key that is
// missing or unknown is refused where it is missed.
func around(plain map[string]any, path string) string {
	for path != "" {
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
		if path == "" || there(plain, path) {
			return path
		}
	}
	return ""
}

var step = regexp.MustCompile(`[^.\[\]]+`)

func there(v any, path string) bool {
	for _, key := range step.FindAllString(path, -1) {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(at) {
				return false
			}
			v = at[i]
		default:
			return false
		}
	}
	return v != nil
}
