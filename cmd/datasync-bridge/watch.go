package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a file must be left alone before it is read: editors
	// and deployments write in several steps.
	settle = 200 * time.Millisecond
	// lookEvery is how often it is read whatever the file system tells: some,
	// such as those of a network, tell nothing.
	lookEvery = 30 * time.Second
)

// watchFile calls changed with the hash of a file's content, in hex, whenever it
// may be other than before, until ctx ends. A file that is empty, or cannot be
// read, is left for later: it is about to be written.
func watchFile(ctx context.Context, path string, log *slog.Logger, changed func(ctx context.Context, sum string)) error {
	// The folder is watched, not the file: it is replaced by renaming, and in
	// Kubernetes by a link to a new folder.
	var events <-chan fsnotify.Event
	var faults <-chan error
	if w, err := fsnotify.NewWatcher(); err != nil {
		log.Warn("changes of the configuration are looked for every 30 s only", "err", err)
	} else {
		defer w.Close() //nolint:errcheck // nothing was written
		if err := w.Add(filepath.Dir(path)); err != nil {
			log.Warn("changes of the configuration are looked for every 30 s only", "err", err)
		}
		events, faults = w.Events, w.Errors
	}
	poll := time.NewTicker(lookEvery)
	defer poll.Stop()
	quiet := time.NewTimer(0)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			if concerns(e.Name, path) {
				quiet.Reset(settle)
			}
			continue
		case err := <-faults:
			log.Warn("a change of the configuration may have been missed; it is looked for every 30 s", "err", err)
		case <-quiet.C:
		case <-poll.C:
		}
		if sum, err := contentOf(path); err == nil {
			changed(ctx, sum)
		}
	}
}

// concerns reports whether a change in the file's folder may be one of the file:
// others may be written there without end, such as a store. Kubernetes' links
// begin with two dots.
func concerns(name, path string) bool {
	base := filepath.Base(name)
	return base == filepath.Base(path) || strings.HasPrefix(base, "..")
}

var errEmpty = errors.New("the file is empty")

// contentOf is the hash of what a file holds, in hex.
func contentOf(path string) (string, error) {
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	switch {
	case err != nil:
		return "", err
	case len(text) == 0:
		return "", errEmpty
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
