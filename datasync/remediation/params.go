package remediation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"datasync-bridge/routing/wording"
)

// maxDepth bounds how deep params may nest.
const maxDepth = 8

// form is what a parameter's template may do: a parameter that a run depends on
// must not vanish.
var form = wording.Form{Functions: wording.Plain(), Max: 4 << 10, Strict: true}

// fault is a problem at a path inside an entry.
type fault struct{ path, text string }

// params are parsed parameters: the same tree, with templates for texts.
type params map[string]any

func parseParams(in map[string]any) (params, []fault) {
	var faults []fault
	tree := parseValue("params", in, 0, &faults)
	p, _ := tree.(map[string]any)
	return p, faults
}

func parseValue(path string, v any, depth int, faults *[]fault) any {
	if depth > maxDepth {
		*faults = append(*faults, fault{path, fmt.Sprintf("nests deeper than %d levels", maxDepth)})
		return nil
	}
	switch v := v.(type) {
	case string:
		if !strings.Contains(v, "{{") {
			return v
		}
		t, err := wording.Parse(v, form)
		if err != nil {
			*faults = append(*faults, fault{path, err.Error()})
		}
		return t
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out[key] = parseValue(path+"."+key, v[key], depth+1, faults)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = parseValue(fmt.Sprintf("%s[%d]", path, i), v[i], depth+1, faults)
		}
		return out
	}
	return v // a number, a bool, null: it keeps its kind
}

// fill renders every text of a tree.
func fill(path string, v any, fields map[string]any) (any, error) {
	switch v := v.(type) {
	case *wording.Template:
		text, err := v.Render(fields)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return text, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			one, err := fill(path+"."+key, v[key], fields)
			if err != nil {
				return nil, err
			}
			out[key] = one
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			one, err := fill(fmt.Sprintf("%s[%d]", path, i), v[i], fields)
			if err != nil {
				return nil, err
			}
			out[i] = one
		}
		return out, nil
	}
	return v, nil
}
