package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
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

// printJSON writes one object on one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
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
