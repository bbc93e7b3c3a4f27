package child

import (
	"log/slog"
	"strings"
	"time"
)

// Limits of what a child process may write to our log.
const (
	tellRaw    = 4096 // bytes of a line that are read: an address must be whole to be redacted
	tellLine   = 300  // bytes of a line that are shown
	tellLines  = 10   // lines a period; more are only counted
	tellPeriod = time.Minute
)

// teller folds a program's standard error into the log, line by line. One
// goroutine uses it at a time.
type teller struct {
	log  *slog.Logger
	hide *strings.Replacer // what is not shown, beside credentials; nil: nothing
	line []byte            // begun, not ended
	left int               // lines that may still be told in this period
	more int               // lines that were not
	ends time.Time
}

// newTeller is nil where there is no log.
func newTeller(log *slog.Logger, name string, hide *strings.Replacer) *teller {
	if log == nil {
		return nil
	}
	return &teller{log: log.With("program", name), hide: hide}
}

// write takes what was written at now. Lines end with a newline or, as progress
// does, with a carriage return.
func (t *teller) write(p []byte, now time.Time) {
	for _, b := range p {
		switch {
		case b == '\n' || b == '\r':
			t.tell(now)
		case len(t.line) < tellRaw:
			t.line = append(t.line, b)
		}
	}
}

// tell logs the line that has ended, if this period has room for it.
func (t *teller) tell(now time.Time) {
	text := redacted(string(t.line), t.hide)
	text = strings.ToValidUTF8(text[:min(len(text), tellLine)], "")
	if t.line = t.line[:0]; text == "" {
		return
	}
	if now.After(t.ends) {
		if t.more > 0 {
			t.log.Info("program said more", "lines", t.more)
		}
		t.left, t.more, t.ends = tellLines, 0, now.Add(tellPeriod)
	}
	if t.left == 0 {
		t.more++
		return
	}
	t.left--
	t.log.Info("program said", "line", text)
}
