package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

// fileSuffix beside the name of a secret: read it from that file.
const fileSuffix = "_file"

// maxSecret bounds a secret's file.
const maxSecret = 64 << 10

// reference is ${NAME}, or $${ for a literal ${. Every other $ stands for itself.
var reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand puts variables into one value. It runs on values, never on the file's
// text, so that no variable can add keys; and only where allowed says so, so
// that no rule depends on the machine it runs on.
func (d *decoder) expand(path, text string, allowed bool) (string, bool) {
	ok := true
	out := reference.ReplaceAllStringFunc(text, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		name, closed := strings.CutSuffix(ref[2:], "}")
		value, set := d.variable(path, name, ref == text)
		switch {
		case !allowed:
			d.fault(path, "cannot hold ${…}: variables are expanded in secrets, addresses and file paths only; write $${ for a literal ${")
		case !closed || !variableName.MatchString(name):
			d.fault(path, "holds a ${ that begins no ${NAME}; write $${ for a literal ${")
		case !set:
			d.fault(path, "needs the environment variable %s, which is not set", name)
		default:
			return value
		}
		ok = false
		return ref
	})
	return out, ok
}

// variable finds what ${name} stands for; whole says that it is all of a value.
func (d *decoder) variable(path, name string, whole bool) (value string, set bool) {
	switch {
	case d.lookup != nil:
		return d.lookup(name)
	case whole:
		return placeholder(path, name), true
	}
	return "placeholder", true // part of an address or of a path
}

// placeholder is a value of the shape that a key wants, the same for the same
// name and another for another.
func placeholder(path, name string) string {
	sum := sha256.Sum256([]byte(name))
	digits := hex.EncodeToString(sum[:]) // also valid base64, and long enough for any key
	switch key := path[strings.LastIndex(path, ".")+1:]; {
	case strings.Contains(key, "url"), key == "proxy":
		return "https://placeholder.example/" + digits
	case key == "routing_key":
		return digits[:32]
	case key == "listen":
		return "127.0.0.1:0"
	case key == "token":
		return "xoxb-" + digits
	}
	return digits
}

// secretFile reads a secret from the file that NAME_file names.
func (d *decoder) secretFile(path string, v, beside any, out reflect.Value) {
	field := strings.TrimSuffix(path, fileSuffix)
	out.SetString(unread)
	if beside != nil {
		d.fault(path, "stands beside %s; keep one of the two", field[strings.LastIndex(field, ".")+1:])
		return
	}
	name, ok := d.text(path, v, true)
	if !ok {
		d.bad[field] = true
		return
	}
	if d.lookup == nil {
		d.places[field] = d.at(path)
		out.SetString(placeholder(field, name))
		return
	}
	secret, err := d.readSecret(path, name)
	if err != nil {
		d.bad[field] = true
		d.fault(path, "%v", err)
		return
	}
	d.places[field] = d.at(path)
	out.SetString(secret)
}

func (d *decoder) readSecret(path, name string) (string, error) {
	if d.dir != "" && !filepath.IsAbs(name) {
		name = filepath.Join(d.dir, name)
	}
	f, err := os.Open(name) // #nosec G304 -- the operator names the file
	if err != nil {
		return "", readFault(err)
	}
	defer func() { _ = f.Close() }() // read only: nothing to lose
	info, err := f.Stat()
	if err != nil {
		return "", readFault(err)
	}
	if info.Mode().Perm()&0o004 != 0 {
		d.problem(path, "can be read by every user of this machine; chmod 600 it", true)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", readFault(err)
	case len(text) > maxSecret:
		return "", fmt.Errorf("names a file of more than %d KiB, which is no secret", maxSecret>>10)
	}
	// Editors and echo end a file with a newline that is not part of the secret.
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if secret == "" {
		return "", errors.New("names an empty file")
	}
	return secret, nil
}

// readFault is an error of the file system without the file's name, which the
// fault's reader has before them (or which holds an expanded variable).
func readFault(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}
