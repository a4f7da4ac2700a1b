// Package wording renders the small templates that a configuration may hold:
// what messages say, and the parameters of runs. It is pure.
//
// A template is text/template without what could run for long, write without
// end, or print what nobody meant: no loops, no variables, no definitions, no
// printf, and only functions of this package. It sees an event as plain nested
// maps without methods, by the paths that rules use; texts are texts, numbers
// and times their text. A field that no event can have is an error when the
// configuration is loaded.
package wording

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
)

// maxSource bounds a template as written, in bytes.
const maxSource = 4 << 10

// Form is what one kind of template may do.
type Form struct {
	// Functions may be called beside and, eq, index, len, ne, not, or.
	Functions template.FuncMap
	// Max bounds what it writes, in bytes.
	Max int
	// Strict makes a field that the event lacks, a text that comes out empty and
	// one longer than Max errors. Otherwise the former are empty, and the latter
	// is cut.
	Strict bool
	// Suggest finds what was meant by a name, as "; did you mean …?"; may be nil.
	Suggest func(got string, known []string) string
}

// builtin are text/template's own that may stay: they neither loop nor format.
var builtin = []string{"and", "eq", "index", "len", "ne", "not", "or"}

// Fault is what is wrong with a template, where it was written: line and column
// from 1, the column 1 where only the line is known.
type Fault struct {
	Line, Col int
	Text      string
}

func (f *Fault) Error() string { return f.Text }

// Template is a parsed one. It never changes.
type Template struct {
	form Form
	t    *template.Template
	// paths are the fields that it names.
	paths [][]string
}

// What a strict template must not come to.
var (
	errEmpty   = errors.New("comes out empty")
	errTooLong = errors.New("writes more than its limit")
)

// Parse reads a template, refuses what the form does not allow, and tries it on
// samples: an event with all fields that it names, and, unless it is strict, one
// with none. The error is always a *Fault.
func Parse(text string, form Form) (*Template, error) {
	if len(text) > maxSource {
		return nil, &Fault{1, 1, fmt.Sprintf("is longer than %d bytes", maxSource)}
	}
	t, err := template.New("").Option("missingkey=error").Funcs(form.Functions).Parse(text)
	if err != nil {
		return nil, parseFault(err, form)
	}
	if len(t.Templates()) > 1 {
		return nil, &Fault{1, 1, "define and block are not allowed here"}
	}
	w := walker{form: form, source: text}
	if t.Tree != nil && t.Root != nil {
		w.list(t.Root)
	}
	if w.fault != nil {
		return nil, w.fault
	}
	made := &Template{form: form, t: t, paths: w.paths}
	full := map[string]any{}
	for _, keys := range w.paths {
		put(full, keys, sampleAt(keys))
	}
	// On a sample a condition may well leave nothing; on an event it may not.
	if _, err := made.Render(full); err != nil && !errors.Is(err, errEmpty) {
		return nil, execFault(err)
	}
	if !form.Strict {
		if _, err := made.Render(map[string]any{}); err != nil {
			return nil, execFault(fmt.Errorf("%w (where an event lacks the fields)", err))
		}
	}
	return made, nil
}

// Render writes the template for an event's fields (see Fields), which it may
// add empty ones to.
func (t *Template) Render(fields map[string]any) (text string, err error) {
	defer func() {
		if p := recover(); p != nil { // nothing here should; but a bad template never eats an alert
			text, err = "", fmt.Errorf("it panicked: %v", p)
		}
	}()
	if !t.form.Strict {
		for _, keys := range t.paths {
			putMissing(fields, keys)
		}
	}
	b := bounded{max: t.form.Max}
	err = t.t.Execute(&b, fields)
	switch {
	case errors.Is(err, errTooLong) && !t.form.Strict:
		err = nil
	case errors.Is(err, errTooLong):
		return "", fmt.Errorf("writes more than %d bytes", t.form.Max)
	case err != nil:
		return "", plain(err)
	}
	if text = b.String(); t.form.Strict && strings.TrimSpace(text) == "" {
		return "", errEmpty
	}
	return text, nil
}

// bounded is a buffer that ends at max bytes.
type bounded struct {
	bytes.Buffer
	max int
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.max - b.Len(); len(p) > room {
		b.Buffer.Write(p[:room])
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

// walker checks a template's tree and gathers the fields that it names.
type walker struct {
	form   Form
	source string
	paths  [][]string
	fault  *Fault
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
			w.fail(n, "variables are not allowed here")
		}
		for _, c := range n.Cmds {
			for _, arg := range c.Args {
				w.node(arg)
			}
		}
	case *parse.IdentifierNode:
		if _, ours := w.form.Functions[n.Ident]; !ours && !slices.Contains(builtin, n.Ident) {
			w.fail(n, fmt.Sprintf("%s is not allowed here; use one of %s", n.Ident, strings.Join(names(w.form), ", ")))
		}
	case *parse.FieldNode:
		if problem := unknown(n.Ident, w.form); problem != "" {
			w.fail(n, problem)
			return
		}
		w.paths = append(w.paths, n.Ident)
	default:
		w.fail(n, fmt.Sprintf("%s is not allowed here; name fields, such as {{ .transaction.id }}", cut(n.String(), 60)))
	}
}

// fail keeps the first fault, with the place of its node.
func (w *walker) fail(n parse.Node, text string) {
	if w.fault != nil {
		return
	}
	before := w.source[:min(int(n.Position()), len(w.source))]
	line := strings.Count(before, "\n") + 1
	col := len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	w.fault = &Fault{line, col, text}
}

// names lists what a template may call.
func names(form Form) []string {
	list := slices.Clone(builtin)
	for name := range form.Functions {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// parseFault takes "template: :3: " off an error of text/template's parser.
func parseFault(err error, form Form) *Fault {
	rest := strings.TrimPrefix(err.Error(), "template: :")
	number, text, ok := strings.Cut(rest, ": ")
	line, bad := strconv.Atoi(number)
	if !ok || bad != nil {
		return &Fault{1, 1, rest}
	}
	if name, unknown := strings.CutPrefix(text, "function "); unknown {
		name, _, _ = strings.Cut(name, " ")
		text = fmt.Sprintf("%s is not allowed here; use one of %s", strings.Trim(name, `"`), strings.Join(names(form), ", "))
	}
	return &Fault{line, 1, text}
}

func execFault(err error) *Fault { return &Fault{1, 1, err.Error()} }

// plain takes "template: :1:4: executing "" at <.transaction.idd>: " off an
// error of text/template.
func plain(err error) error {
	text := strings.TrimPrefix(err.Error(), "template: :")
	if _, rest, ok := strings.Cut(text, `executing "" at `); ok {
		text = rest
	} else if _, rest, ok := strings.Cut(text, ": "); ok {
		text = rest
	}
	return errors.New(cut(text, 300))
}

// cut shortens text to at most limit runes, the last of which is then ….
func cut(text string, limit int) string {
	r := []rune(text)
	if len(r) <= limit {
		return text
	}
	return string(r[:limit-1]) + "…"
}
