package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on a file, far above any configuration that a person keeps.
const (
	maxFile  = 256 << 10
	maxDepth = 64
)

// parse reads YAML into plain values (string, bool, json.Number, nil, []any,
// map[string]any) and notes in the book where each was typed. A json.Number
// holds a number exactly as typed: 0123 stays 0123, so that "quote it" can be
// said before anything makes 83 of it.
func (b *book) parse(text []byte) map[string]any {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	b.source = bytes.Split(text, []byte("\n"))
	b.lines = len(b.source)
	switch {
	case len(text) > maxFile:
		b.fault("", "is larger than %d KiB", maxFile>>10)
	case !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0:
		b.fault("", "is not UTF-8 text")
	case len(bytes.TrimSpace(text)) == 0:
		b.fault("", "is empty")
	}
	if b.fatal {
		return nil
	}
	file := b.syntax(text)
	if file == nil {
		return nil
	}
	var root ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case root == nil:
			root = doc.Body
		default:
			b.here(doc.Body, "", "a second document; keep one document in a file")
		}
	}
	switch m := b.value("", root).(type) {
	case map[string]any:
		return m
	case nil:
		b.fault("", "is empty")
	default:
		b.fault("", "must be a mapping of sections, such as version and sources")
	}
	return nil
}

// quoted is what the parser repeats of the file, which may be a secret that
// was not put in quotes.
var quoted = regexp.MustCompile(`"[^"]{2,}.*"`)

// syntax runs the parser over tokens that have been found harmless.
func (b *book) syntax(text []byte) (file *ast.File) {
	// The parser has met input that makes it panic. A file that an operator is
	// editing must never take a running bridge down.
	defer func() {
		if r := recover(); r != nil {
			b.fault("", "cannot be parsed as YAML: %v", r)
			file = nil
		}
	}()
	tokens := lexer.Tokenize(string(text))
	if !b.harmless(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err == nil {
		return file
	}
	var positioned yaml.Error
	if errors.As(err, &positioned) && positioned.GetToken() != nil {
		b.token(positioned.GetToken(), "%s", quoted.ReplaceAllString(positioned.GetMessage(), `"…"`))
	} else {
		b.fault("", "cannot be parsed as YAML: %v", err)
	}
	return nil
}

// harmless refuses what the bridge does without: anchors and aliases (which
// can also make a small file huge), tags, directives, and nesting that would
// exhaust the parser's stack.
func (b *book) harmless(tokens token.Tokens) bool {
	flow, dashes, line := 0, 0, 0
	// indents are the columns of the blocks that are open. The lexer's own
	// count of levels grows with the length of a file, and is of no use.
	var indents []int
	for _, t := range tokens {
		if t.Position.Line > line && flow == 0 {
			line, dashes = t.Position.Line, 0
			for len(indents) > 0 && indents[len(indents)-1] >= t.Position.Column {
				indents = indents[:len(indents)-1]
			}
			indents = append(indents, t.Position.Column)
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			b.token(t, "anchors, aliases and merge keys are not supported; write the value out")
		case token.TagType:
			b.token(t, "tags are not supported; put text that begins with ! in quotes") // it may be a secret
		case token.DirectiveType:
			b.token(t, "directives are not supported; remove the line")
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			dashes++
		}
		if max(flow, dashes, len(indents)) > maxDepth {
			b.token(t, "is nested deeper than %d levels", maxDepth)
			break
		}
	}
	return !b.fatal
}

// value turns a node into a plain value and notes the places of all below it.
func (b *book) value(path string, n ast.Node) any {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.BoolNode:
		return n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return json.Number(n.GetToken().Value)
	case *ast.StringNode:
		if n.Token.Type == token.StringType && numberLike.MatchString(n.Value) {
			return json.Number(n.Value)
		}
		b.text(path, n.Token)
		return n.Value
	case *ast.LiteralNode:
		b.text(path, n.Value.Token)
		b.indented(path)
		return n.Value.Value
	case *ast.MappingNode:
		return b.mapping(path, n.Values)
	case *ast.MappingValueNode:
		return b.mapping(path, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		if tooDeep(path) {
			b.here(n, path, "is nested deeper than %d levels", maxDepth)
			return nil
		}
		list := make([]any, len(n.Values))
		for i, v := range n.Values {
			at := fmt.Sprintf("%s[%d]", path, i)
			b.places[at] = b.start(v, b.at(path))
			list[i] = b.value(at, v)
		}
		return list
	}
	b.here(n, path, "is of a kind that is not supported here (%s)", n.Type())
	return nil
}

// text notes where the first character of a text stands.
func (b *book) text(path string, t *token.Token) {
	if t == nil || t.Position == nil {
		return
	}
	p := b.placeOf(t)
	if t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType {
		p.col++
	}
	b.texts[path] = p
}

// indented puts a block of text's place after its indentation, which the
// parser does not count.
func (b *book) indented(path string) {
	p := b.texts[path]
	if p.line > 0 && p.line <= b.lines {
		line := b.source[p.line-1]
		p.col = 1 + len(line) - len(bytes.TrimLeft(line, " "))
		b.texts[path], b.blocks[path] = p, true
	}
}

// numberLike are plain scalars that some YAML reader takes for a number, even
// where this parser would not (006922827 is no octal number).
var numberLike = regexp.MustCompile(`^[-+]?\.?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?$`)

func (b *book) mapping(path string, entries []*ast.MappingValueNode) any {
	m := make(map[string]any, len(entries))
	if tooDeep(path) {
		b.here(entries[0].Key, path, "is nested deeper than %d levels", maxDepth)
		return m
	}
	for _, e := range entries {
		key, ok := keyText(e.Key)
		at := join(path, key)
		switch {
		case !ok:
			b.here(e.Key, path, "a key must be plain text")
			continue
		case hasControl(key):
			b.here(e.Key, path, "a key must not hold control characters")
			continue
		}
		if _, twice := m[key]; twice {
			b.here(e.Key, at, "is a duplicate key; it stands on line %d already", b.places[at].line)
			continue
		}
		b.places[at] = b.start(e.Key, b.at(path))
		m[key] = b.value(at, e.Value)
	}
	return m
}

func keyText(k ast.Node) (string, bool) {
	switch k := k.(type) {
	case *ast.StringNode:
		return k.Value, k.Value != ""
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return k.GetToken().Value, k.GetToken().Value != ""
	}
	return "", false
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func tooDeep(path string) bool { return strings.Count(path, ".")+strings.Count(path, "[") > maxDepth }

// start is where a node begins: a mapping begins with its first key.
func (b *book) start(n ast.Node, otherwise place) place {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			n = m.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = m.Key
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return otherwise
	}
	return b.placeOf(n.GetToken())
}

func (b *book) placeOf(t *token.Token) place {
	// The parser counts past the end of some files that it cannot read.
	return place{b.file, min(max(t.Position.Line, 1), b.lines), max(t.Position.Column, 1)}
}

// here reports a fault at a node, token at a token: where no path leads.
func (b *book) here(n ast.Node, path, format string, args ...any) {
	p := b.start(n, b.at(path))
	b.bad[path] = true
	b.push(Fault{File: p.file, Line: p.line, Col: p.col, Path: path, Text: fmt.Sprintf(format, args...)})
}

func (b *book) token(t *token.Token, format string, args ...any) {
	p := place{b.file, 1, 1}
	if t.Position != nil {
		p = b.placeOf(t)
	}
	b.push(Fault{File: p.file, Line: p.line, Col: p.col, Text: fmt.Sprintf(format, args...)})
}
