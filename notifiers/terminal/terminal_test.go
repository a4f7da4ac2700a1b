package terminal_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/notifiers/terminal"
)

func TestRouting31_NothingFromOutsideMovesTheCursor(t *testing.T) {
	for _, many := range []bool{false, true} {
		for _, kind := range notifiertest.Kinds {
			var out bytes.Buffer
			if _, err := terminal.New(terminal.Config{}, notifiertest.Style, &out).Send(t.Context(), notifiertest.Hostile(kind, many)); err != nil {
				t.Fatal(err)
			}
			if r, bad := notifiertest.Concealed(out.String()); bad {
				t.Errorf("%s: %U is printed", kind, r)
			}
			for _, line := range strings.Split(out.String(), "\n") {
				if strings.HasPrefix(line, "RESOLVED") {
					t.Errorf("%s: text from outside began a line of its own: %.60q", kind, line)
				}
			}
		}
	}
}

func TestAPipeOrFileGetsNoColours(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	c := notifiertest.Cases()[0]
	if _, err := terminal.New(terminal.Config{}, notifiertest.Style, f).Send(t.Context(), c.Delivery); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.Name())
	if err != nil || len(text) == 0 || bytes.Contains(text, []byte("\x1b")) {
		t.Errorf("error %v, text %q: want plain text", err, text)
	}
}

func TestColoursFollowTheTerminalAndNOCOLOR(t *testing.T) {
	// A character device stands for a terminal here: it is what is looked for.
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = device.Close() }()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !terminal.Coloured(device) {
		t.Error("a terminal gets no colours")
	}
	t.Setenv("NO_COLOR", "1")
	if terminal.Coloured(device) {
		t.Error("NO_COLOR is not honoured")
	}
}

func TestAFailedWriteIsTriedAgain(t *testing.T) {
	_, err := terminal.New(terminal.Config{}, notifiertest.Style, broken{}).Send(t.Context(), notifiertest.Cases()[0].Delivery)
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v, want the writer's", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestACancelledContextPrintsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if _, err := terminal.New(terminal.Config{}, notifiertest.Style, &out).Send(ctx, notifiertest.Cases()[0].Delivery); !errors.Is(err, context.Canceled) || out.Len() > 0 {
		t.Errorf("error %v, printed %q", err, out.String())
	}
}

func TestAPagersRehearsalTakesNoEdits(t *testing.T) {
	pager, other := terminal.Config{Pager: true}.Traits("p"), terminal.Config{}.Traits("t")
	if !pager.Pager || pager.Edits || other.Pager || !other.Edits {
		t.Errorf("pager %+v, other %+v", pager, other)
	}
}
