package terminal_test

import (
	"bytes"
	"testing"

	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/notifiers/terminal"
)

func TestEachMessageAsPrinted(t *testing.T) {
	for _, c := range notifiertest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			var out bytes.Buffer
			if _, err := terminal.New(terminal.Config{}, notifiertest.Style, &out).Send(t.Context(), c.Delivery); err != nil {
				t.Fatal(err)
			}
			notifiertest.Golden(t, c.Name+".golden", out.String())
		})
	}
}
