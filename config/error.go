package config

import (
	"dynvit/printable"
	"errors"
	"fmt"
)

// Error is a mistake in the configuration: a key, where its value came
// from, and what is wrong with it. It prints on one line and holds no secret.
type Error struct {
	Where string // file:line:column, variable or flag; "" where it is a default
	Key   string // such as cameras.door.max_fps; "" where no key is at fault
	Flag  bool   // Where is a flag of the command line
	Err   error
}

func (e *Error) Error() string {
	s := e.Err.Error()
	if e.Key != "" {
		s = e.Key + ": " + s
	}
	if e.Where != "" {
		s = e.Where + ": " + s
	}
	return printable.Line(s) // keys, anchors and tags are the file's own words
}

func (e *Error) Unwrap() error { return e.Err }

// Invalid makes an error about a key whose place is found later.
func Invalid(key, format string, args ...any) error {
	return &Error{Key: key, Err: fmt.Errorf(format, args...)}
}

// origins remembers where each key's value came from.
type origins map[string]origin

type origin struct {
	where string
	flag  bool
}

// Place adds to a *Error in err where its key was set, if it does not say
// so yet, and returns err. Load does so itself; an error of the daemon, such as a
// label that the model does not have, has no place until then.
func (c *Config) Place(err error) error { return c.from.place(err) }

// place finds where a key was set. One that never was has the place of the
// nearest key above it.
func (o origins) place(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Where != "" {
		return err
	}
	at := o[""]
	for key := e.Key; key != ""; key = parentKey(key) {
		if set, ok := o[key]; ok {
			at = set
			break
		}
	}
	e.Where, e.Flag = at.where, at.flag
	return err
}
