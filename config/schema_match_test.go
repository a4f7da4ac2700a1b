package config_test

import (
	"regexp"

	"github.com/invopop/jsonschema"

	"datasync-bridge/event"
)

// matchKinds names the definition of what a match may say of a kind of field.
var matchKinds = map[event.Kind]string{
	event.KindText: "match.text", event.KindNumber: "match.number", event.KindFlag: "match.flag",
	event.KindTime: "match.time", event.KindTexts: "match.texts", anyKind: "match.any",
}

// anyKind stands for the raw payload, of which nothing is known.
const anyKind event.Kind = 255

// words are the fields that hold one of a few words; a glob is a word too.
var words = map[string][]string{
	"severity": {"info", "warning", "error", "critical"}, "environment": {"production", "sandbox"},
	"origin": {"webhook", "reconcile", "replay"}, "class": classes,
}

func matchSchema() *jsonschema.Schema {
	s := &jsonschema.Schema{
		Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema,
		Description: "Paths into the event and what each must be: a value, a list of which one must fit, or operators. All keys must hold. In texts * is a glob.",
		Examples:    []any{map[string]any{"type": "transaction.failed", "transaction.document_type": []string{"810", "INVOIC"}}},
		PatternProperties: map[string]*jsonschema.Schema{
			`^data\..+$`: {Ref: "#/$defs/match.any"},
			"^" + regexp.QuoteMeta(event.ReferencePrefix) + `[^.].*$`: {Ref: "#/$defs/match.text"},
		},
	}
	for _, f := range event.Schema {
		if list, ok := words[f.Path]; ok {
			word := &jsonschema.Schema{AnyOf: []*jsonschema.Schema{enum(list...), text(`\*`)}}
			s.Properties.Set(f.Path, valueOf(word, operators(event.KindText, word)))
			continue
		}
		s.Properties.Set(f.Path, &jsonschema.Schema{Ref: "#/$defs/" + matchKinds[f.Kind]})
	}
	return s
}

// number is a number in quotes.
var number = text(`^[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?$`)

func matchValue(k event.Kind) *jsonschema.Schema {
	one := map[event.Kind]*jsonschema.Schema{
		event.KindText: {Type: "string"}, event.KindTexts: {Type: "string"}, event.KindTime: {Type: "string"},
		event.KindFlag:   {Type: "boolean"},
		event.KindNumber: {AnyOf: []*jsonschema.Schema{{Type: "number"}, number}},
		anyKind:          {AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}},
	}[k]
	return valueOf(one, operators(k, one))
}

// valueOf is one value, a list of them, or operators.
func valueOf(one, operators *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{one, listOf(one), operators}}
}

func listOf(one *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "array", Items: one, MinItems: ptr(1)}
}

func operators(k event.Kind, one *jsonschema.Schema) *jsonschema.Schema {
	s := &jsonschema.Schema{
		Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema, MinProperties: ptr(1),
		Description: "Operators; all of them must hold.",
	}
	s.Properties.Set("not", &jsonschema.Schema{AnyOf: []*jsonschema.Schema{one, listOf(one)}, Description: "None of these; a missing field passes."})
	s.Properties.Set("exists", &jsonschema.Schema{Type: "boolean", Description: "Whether the event has the field at all."})
	if k != event.KindFlag && k != event.KindTime && k != event.KindNumber {
		s.Properties.Set("regex", &jsonschema.Schema{Type: "string", Description: "RE2, anchored at both ends."})
	}
	if k == event.KindText || k == event.KindNumber || k == anyKind {
		for _, op := range [][2]string{{"gte", "At least."}, {"gt", "More than."}, {"lte", "At most."}, {"lt", "Less than."}} {
			s.Properties.Set(op[0], &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "number"}, number}, Description: op[1]})
		}
	}
	return s
}
