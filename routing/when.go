package routing

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// Bounds of one condition. There is no cancelling a running expression, so
// what it may walk over is bounded before it starts.
const (
	// maxNodes bounds the size of a condition as written.
	maxNodes = 500
	// maxWhenMemory bounds the elements that a condition makes: ranges, maps,
	// filtered lists.
	maxWhenMemory = 20_000
	// maxElements is how many elements of a list a condition sees, maxWhenText how
	// many bytes of a text.
	maxElements = 200
	maxWhenText = 16 << 10
)

// inConditions are the functions that a condition may call. A new version of the
// language may bring others, so what is good is listed, not what is not: none of
// these depends on anything but the event, and none makes texts or lists out of
// others that grow with each use.
var inConditions = []string{
	"all", "none", "any", "one", "filter", "find", "findIndex", "findLast", "findLastIndex", "count", "sum",
	"len", "first", "last", "take", "keys", "values", "max", "min", "mean", "median",
	"type", "int", "float", "string", "abs", "ceil", "floor", "round",
	"trim", "trimPrefix", "trimSuffix", "upper", "lower", "split", "join", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix",
	"duration", "date", "timezone",
}

// notInConditions are those of the language that are not among them.
var notInConditions = slices.DeleteFunc(slices.Clone(builtin.Names), func(name string) bool {
	return slices.Contains(inConditions, name)
})

// whenCondition is a compiled when.
type whenCondition struct {
	source  string
	program *vm.Program
	// data reports that it reads the raw payload.
	data bool
}

// when compiles a condition against the schema. It reports every unknown field
// at once, and whatever else the language finds first.
func (c *compiler) when(at, source string) *whenCondition {
	v := &whenVisitor{compiler: c, declared: map[string]bool{}, source: file.NewSource(source)}
	options := make([]expr.Option, 0, 4+len(notInConditions))
	options = append(options, expr.Env(whenSchema), expr.AsBool(), expr.MaxNodes(maxNodes), expr.Patch(v))
	for _, name := range notInConditions {
		options = append(options, expr.DisableBuiltin(name))
	}
	program, err := expr.Compile(source, options...)
	faults := v.faults()
	for _, f := range faults {
		f.Path = at
		c.problems = append(c.problems, f)
	}
	if err != nil {
		if !hasFault(faults) {
			c.problems = append(c.problems, whenProblem(at, err))
		}
		return nil
	}
	// The compiler picks an equality for two texts that fails on nil, but what
	// is missing differs from every text. OpEqual takes the same two operands.
	for i, op := range program.Bytecode {
		if op == vm.OpEqualString {
			program.Bytecode[i] = vm.OpEqual
		}
	}
	return &whenCondition{source: source, program: program, data: v.data}
}

func hasFault(problems []Problem) bool {
	for _, p := range problems {
		if !p.Warning {
			return true
		}
	}
	return false
}

func whenProblem(at string, err error) Problem {
	p := Problem{Path: at, Line: 1, Col: 1, Text: strings.SplitN(err.Error(), "\n", 2)[0]}
	var fe *file.Error
	if errors.As(err, &fe) {
		p.Line, p.Col, p.Text = max(fe.Line, 1), fe.Column+1, fe.Message
	}
	name, unknown := strings.CutPrefix(p.Text, "unknown name ")
	switch {
	case name == "now":
		p.Text = "now() is not available in conditions; received_at is the time of the event"
	case slices.Contains(notInConditions, name):
		p.Text = fmt.Sprintf("%s() is not available in conditions", name)
	case unknown:
		p.Text = fmt.Sprintf("no field or function named %q", name)
	}
	return p
}

// run evaluates the condition. An error means that it did not hold.
func (w *whenCondition) run(env map[string]any) (bool, error) {
	machine := vm.VM{MemoryBudget: maxWhenMemory}
	out, err := machine.Run(w.program, env)
	if err != nil {
		var fe *file.Error
		if errors.As(err, &fe) {
			message := strings.ReplaceAll(fe.Message, "<nil>", "a missing field")
			return false, fmt.Errorf("%s (%d:%d)", cut(message, 200), fe.Line, fe.Column+1)
		}
		return false, err
	}
	holds, _ := out.(bool)
	return holds, nil
}

// whenVisitor reads a condition's tree: it gathers the paths that it names,
// turns aliases into canonical types, and refuses what cannot be bounded.
type whenVisitor struct {
	*compiler
	source   file.Source
	named    []namedPath
	declared map[string]bool
	found    []Problem
	data     bool
}

type namedPath struct {
	path string
	at   file.Location
}

// Visit is called for every node, children first.
func (v *whenVisitor) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case "$env":
			v.found = append(v.found, v.problem(n.Location(), "$env is not available in conditions; name the field"))
		case "data":
			v.data = true
		}
		v.named = append(v.named, namedPath{n.Value, n.Location()})
	case *ast.MemberNode:
		if path := memberPath(n); path != "" {
			v.named = append(v.named, namedPath{path, n.Property.Location()})
		}
	case *ast.VariableDeclaratorNode:
		// One that is made of the one before twice doubles it each time.
		v.declared[n.Name] = true
		v.found = append(v.found, v.problem(n.Location(), "let is not available in conditions; write the value where it is used"))
	case *ast.BuiltinNode:
		// The language lets no function with a predicate be switched off.
		if slices.Contains(notInConditions, n.Name) {
			v.found = append(v.found, v.problem(n.Location(), n.Name+"() is not available in conditions"))
		}
	case *ast.PredicateNode:
		if inner := innerPredicate(n); inner != nil {
			v.found = append(v.found, v.problem(inner.Location(),
				"a predicate in a predicate is not available in conditions; its time could not be bounded"))
		}
	case *ast.BinaryNode:
		v.canonicalTypes(n)
	}
}

// memberPath spells a.b.c, or returns "" for anything that is no such chain.
func memberPath(n *ast.MemberNode) string {
	property, ok := n.Property.(*ast.StringNode)
	if !ok {
		return ""
	}
	switch of := n.Node.(type) {
	case *ast.IdentifierNode:
		return of.Value + "." + property.Value
	case *ast.ChainNode:
		if m, ok := of.Node.(*ast.MemberNode); ok {
			if path := memberPath(m); path != "" {
				return path + "." + property.Value
			}
		}
	case *ast.MemberNode:
		if path := memberPath(of); path != "" {
			return path + "." + property.Value
		}
	}
	return ""
}

// innerPredicate finds a predicate inside another one.
func innerPredicate(n *ast.PredicateNode) ast.Node {
	find := &predicateFinder{}
	body := n.Node
	ast.Walk(&body, find)
	return find.found
}

type predicateFinder struct{ found ast.Node }

func (f *predicateFinder) Visit(node *ast.Node) {
	if p, ok := (*node).(*ast.PredicateNode); ok {
		f.found = p
	}
}

// canonicalTypes replaces an alias that type is compared with.
func (v *whenVisitor) canonicalTypes(n *ast.BinaryNode) {
	switch n.Operator {
	case "==", "!=":
		if isType(n.Left) {
			v.canonicalType(n.Right)
		} else if isType(n.Right) {
			v.canonicalType(n.Left)
		}
	case "in":
		if array, ok := n.Right.(*ast.ArrayNode); ok && isType(n.Left) {
			for _, element := range array.Nodes {
				v.canonicalType(element)
			}
		}
	}
}

func isType(n ast.Node) bool {
	id, ok := n.(*ast.IdentifierNode)
	return ok && id.Value == "type"
}

func (v *whenVisitor) canonicalType(n ast.Node) {
	s, ok := n.(*ast.StringNode)
	if !ok {
		return
	}
	if canonical, alias := v.names.Aliases[s.Value]; alias {
		s.Value = canonical
		return
	}
	if hint := v.typeTypo(s.Value); hint != "" {
		p := v.problem(n.Location(), fmt.Sprintf("the mapping lists no type %q", s.Value)+hint)
		p.Warning = true
		v.found = append(v.found, p)
	}
}

// faults returns what was found, unknown fields among it.
func (v *whenVisitor) faults() []Problem {
	for _, n := range v.named {
		root, rest, nested := strings.Cut(n.path, ".")
		if v.declared[root] || root == "data" {
			continue
		}
		switch {
		case nested && isGroup(root) && !knownInWhen(n.path):
		case !nested && !knownInWhen(root) && !isFunction(root) && suggest(root, rootNames) != "":
		default:
			continue
		}
		text := fmt.Sprintf("no field named %q", n.path)
		if nested && rest != "" {
			text += suggest(n.path, schemaPaths)
		} else {
			text += suggest(n.path, rootNames)
		}
		v.found = append(v.found, v.problem(n.at, text))
	}
	return v.found
}

func (v *whenVisitor) problem(at file.Location, text string) Problem {
	fe := (&file.Error{Location: at}).Bind(v.source)
	return Problem{Line: fe.Line, Col: fe.Column + 1, Text: text}
}
