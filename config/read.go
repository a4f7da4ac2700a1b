package config

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
)

// Report adds a fault, or a warning, at the place of a key ("as2.url").
type Report func(path, text string, warning bool)

// Read reads another file than the configuration as strictly: YAML or JSON
// into the struct that into points to, whose keys are its koanf tags. Secrets
// may come from variables, or from files named relative to the file's folder.
// check adds what the keys' owner finds. The error is always Faults; what is
// returned beside a nil one are warnings.
func Read(path string, into any, o Options, check func(Report)) (Faults, error) {
	return ReadPlaced(path, into, o, func(r Report, _ Places) { check(r) })
}

// Places tells where a key was typed, or the nearest thing around it: line and
// column, both from 1.
type Places func(path string) (line, col int)

// ReadPlaced is Read for an owner who must know later where each key stands.
func ReadPlaced(path string, into any, o Options, check func(Report, Places)) (Faults, error) {
	b := newBook(path)
	b.dir = filepath.Dir(path)
	text, err := readBounded(path)
	if err != nil {
		return nil, Faults{{File: path, Text: readFault(err).Error()}}
	}
	if file := b.parse(text); file != nil {
		d := decoder{b, o.lookup()}
		d.section("", file, reflect.ValueOf(into).Elem())
		check(b.problem, func(path string) (line, col int) {
			at := b.at(path)
			return at.line, at.col
		})
	}
	faults := b.sorted()
	if b.fatal {
		return nil, faults
	}
	return faults, nil
}

// readBounded reads a file as far as parse would look at it.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only: nothing to lose
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}
