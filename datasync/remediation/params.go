package remediation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"datasync-bridge/event"
)

const (
	// maxText bounds what one template may write.
	maxText = 4 << 10
	// maxDepth bounds how deep params may nest.
	maxDepth = 8
)

// functions are all that a template may call. What is missing is so on purpose:
// printf takes widths from data, html and js have no place in a parameter.
var functions = template.FuncMap{
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
	"trim":  strings.TrimSpace,
}

var allowed = map[string]bool{
	"lower": true, "upper": true, "trim": true,
	"and": true, "or": true, "not": true, "eq": true, "ne": true, "index": true, "len": true,
}

var (
	errTooLong = fmt.Errorf("writes more than %d bytes", maxText)
	errEmpty   = errors.New("comes out empty")
)

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
		t, err := parseText(v)
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

// parseText parses a template, refuses what could run for long or name what is
// not there, and tries it on a sample.
func parseText(text string) (*template.Template, error) {
	t, err := template.New("").Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, plain(err)
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("define is not allowed here")
	}
	w := walker{sample: map[string]any{}}
	if t.Tree != nil && t.Root != nil {
		w.list(t.Root)
	}
	if w.err != nil {
		return nil, w.err
	}
	// On a sample a condition may well leave nothing; on an event it may not.
	if _, err := render(t, w.sample); err != nil && !errors.Is(err, errEmpty) {
		return nil, err
	}
	return t, nil
}

// walker checks a template's tree and gathers a sample of the fields it names.
type walker struct {
	sample map[string]any
	err    error
}

func (w *walker) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		w.node(n)
	}
}

func (w *walker) node(n parse.Node) {
	switch n := n.(type) {
	case *parse.TextNode, *parse.CommentNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
	case *parse.ActionNode:
		w.node(n.Pipe)
	case *parse.IfNode:
		w.node(n.Pipe)
		w.list(n.List)
		w.list(n.ElseList)
	case *parse.PipeNode:
		if len(n.Decl) > 0 {
			w.fail("variables are not allowed here")
		}
		for _, c := range n.Cmds {
			for _, arg := range c.Args {
				w.node(arg)
			}
		}
	case *parse.IdentifierNode:
		if !allowed[n.Ident] {
			w.fail("%s is not allowed here; use one of and, eq, index, len, lower, ne, not, or, trim, upper", n.Ident)
		}
	case *parse.FieldNode:
		w.field(n.Ident)
	default:
		w.fail("%s is not allowed here; name fields, such as {{ .transaction.id }}", n)
	}
}

// field takes a path that the schema knows; below data nothing is known until
// an event comes.
func (w *walker) field(keys []string) {
	path := strings.Join(keys, ".")
	f, known := event.FieldAt(path)
	switch {
	case keys[0] == "data" && len(keys) > 1:
		put(w.sample, keys, "x")
	case known:
		put(w.sample, keys, sampleOf(f.Kind))
	case slices.ContainsFunc(event.Schema, func(f event.Field) bool { return strings.HasPrefix(f.Path, path+".") }):
		w.fail(".%s is an object; name one of its fields", path)
	default:
		w.fail("there is no field .%s; use the names of match, or data.… for the payload as it came", path)
	}
}

func (w *walker) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func sampleOf(k event.Kind) any {
	switch k {
	case event.KindFlag:
		return true
	case event.KindTexts:
		return []string{"x"}
	case event.KindText, event.KindNumber, event.KindTime:
	}
	return "1"
}

// render writes a template, bounded, and refuses to hand on what is empty: a
// parameter that a run depends on must not vanish.
func render(t *template.Template, fields map[string]any) (string, error) {
	var b bounded
	if err := t.Execute(&b, fields); err != nil {
		if errors.Is(err, errTooLong) {
			return "", errTooLong
		}
		return "", plain(err)
	}
	if strings.TrimSpace(b.String()) == "" {
		return "", errEmpty
	}
	return b.String(), nil
}

// fill renders every text of a tree.
func fill(path string, v any, fields map[string]any) (any, error) {
	switch v := v.(type) {
	case *template.Template:
		text, err := render(v, fields)
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

// bounded is a buffer that refuses to grow past maxText.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxText {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

// nested turns an event into plain maps by path, without methods and without
// nulls, so that a missing field fails instead of printing "<no value>".
// Numbers come as their decimal text.
func nested(ev event.Event) map[string]any {
	m := map[string]any{}
	for _, path := range slices.Sorted(maps.Keys(ev.Fields)) {
		put(m, strings.Split(path, "."), plainValue(ev.Fields[path]))
	}
	for _, f := range event.Schema {
		if v, ok := ev.Lookup(f.Path); f.Own && ok {
			put(m, []string{f.Path}, v)
		}
	}
	m["data"] = plainValue(ev.Data)
	return m
}

// put sets a value by path. What holds a value already is never made an object:
// a reference named "a.b" cannot take the place of the one named "a".
func put(m map[string]any, keys []string, v any) {
	for _, key := range keys[:len(keys)-1] {
		if m[key] == nil {
			m[key] = map[string]any{}
		}
		inner, object := m[key].(map[string]any)
		if !object {
			return
		}
		m = inner
	}
	m[keys[len(keys)-1]] = v
}

func plainValue(v any) any {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number:
		return v.String()
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, one := range v {
			if one != nil {
				out[key] = plainValue(one)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plainValue(v[i])
		}
		return out
	}
	return v
}

// plain takes "template: :1:4: executing "" at <.transaction.idd>: " off an
// error of text/template.
func plain(err error) error {
	text := strings.TrimPrefix(err.Error(), "template: :")
	if _, rest, ok := strings.Cut(text, `executing "" at `); ok {
		text = rest
	} else if _, rest, ok := strings.Cut(text, ": "); ok {
		text = rest
	}
	return errors.New(text)
}
