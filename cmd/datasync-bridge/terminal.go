package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether a person sits at the other end of a stream.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// confirm asks the person at the terminal, and takes anything but yes for no.
// Where nobody can be asked, --yes must have been said.
func (c *cli) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	if !isTerminal(c.in) {
		return usagef("nobody can be asked here: say --yes if you mean it")
	}
	fmt.Fprintf(c.err, "%s [y/N] ", printable(question))
	line, _ := bufio.NewReader(io.LimitReader(c.in, 1024)).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return fmt.Errorf("not confirmed, so nothing was done")
}
