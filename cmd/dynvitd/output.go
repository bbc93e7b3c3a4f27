package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"dynvit/printable"
)

// output is stdout for the commands: it remembers the first write that failed, so
// that they may print without looking and the program still ends as failed.
type output struct {
	w   io.Writer
	err error
}

// Write never fails: what comes after a failure is dropped.
func (o *output) Write(p []byte) (int, error) {
	if o.err == nil {
		_, o.err = o.w.Write(p)
	}
	return len(p), nil
}

// failure says that not all that was printed arrived.
func (o *output) failure() error {
	if o.err == nil {
		return nil
	}
	return fmt.Errorf("output: %w", o.err)
}

// printLine prints one line. What files and the network put into it moves no cursor
// and breaks no line.
func printLine(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, printable.Line(fmt.Sprintf(format, args...)))
}

// printText prints lines whose breaks are the program's own, as printLine does.
func printText(w io.Writer, text []byte) {
	for line := range bytes.Lines(text) {
		printLine(w, "%s", bytes.TrimSuffix(line, []byte("\n")))
	}
}

// complain prints a line about what went wrong on stderr.
func complain(err error) { printLine(os.Stderr, "dynvitd: %v", err) }

// overwrite shows text in place of the last line of a terminal at stderr.
func overwrite(format string, args ...any) {
	fmt.Fprint(os.Stderr, "\r", printable.Line(fmt.Sprintf(format, args...)), "\033[K\r")
}

// nowAndThen returns what shows a line that moves on a terminal, and with verbose one every few
// seconds elsewhere; nil: nothing.
func nowAndThen(verbose bool) func(format string, args ...any) {
	every, show := 200*time.Millisecond, overwrite
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		every = 5 * time.Second
		show = func(format string, args ...any) { printLine(os.Stderr, format, args...) }
		if !verbose {
			return nil
		}
	}
	var last time.Time
	return func(format string, args ...any) {
		if now := time.Now(); now.Sub(last) > every {
			last = now
			show(format, args...)
		}
	}
}

// printJSON writes one object on one line.
func printJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	printText(w, text.Bytes())
	return nil
}

// about is what a command says of one file that it could not deal with: its name,
// once, and why.
func about(command, path string, err error) error {
	var p *fs.PathError
	switch {
	case errors.As(err, &p) && p.Path == path:
		return fmt.Errorf("%s %s: %w", command, path, p.Err)
	case strings.HasPrefix(err.Error(), path+": "):
		return fmt.Errorf("%s %w", command, err)
	}
	return fmt.Errorf("%s %s: %w", command, path, err)
}
