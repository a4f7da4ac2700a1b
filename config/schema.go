package config

import (
	_ "embed"
	"slices"
)

// schema is made from the structs and their comments by a test (see
// schema_made_test.go), so that the program carries it and needs no source.
//
//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 2020-12) of the file, for editors. It knows
// what one key may hold, not what keys say about each other: Load does.
func Schema() []byte { return slices.Clone(schema) }
