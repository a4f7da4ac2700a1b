package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// printFields prints a view for people: its JSON keys with words for names, in
// the order in which the view declares them, times in the operator's zone.
func printFields(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil { // the object's opening brace
		return err
	}
	var rows [][]string
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return errors.New("a view is no object")
		}
		rows = append(rows, []string{strings.ReplaceAll(name, "_", " "), plain(local(value))})
	}
	return writeTable(w, nil, rows)
}

// local turns a text that is nothing but a time into the operator's own clock.
func local(value any) any {
	text, _ := value.(string)
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return clock(at)
	}
	return value
}

// plain prints a JSON value on one line: texts bare, lists with commas.
func plain(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		parts := make([]string, 0, len(v))
		for _, item := range v {
			parts = append(parts, plain(item))
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(text)
	default:
		return fmt.Sprint(v)
	}
}
