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
	_, ok := terminalSize(stream)
	return ok
}

// terminalWidth is how many columns a stream's terminal has, 0 where it is no
// terminal or does not say.
func terminalWidth(stream any) int {
	size, ok := terminalSize(stream)
	if !ok {
		return 0
	}
	return int(size.Col)
}

func terminalSize(stream any) (*unix.Winsize, bool) {
	f, ok := stream.(*os.File)
	if !ok {
		return nil, false
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return size, err == nil
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
