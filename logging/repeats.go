package logging

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// foldFor is how long a line that repeats is only counted: a broken camera
	// that fails ten times a second is one line a minute.
	foldFor  = time.Minute
	seenMost = 256 // different lines remembered
)

// repeats is a handler that writes equal lines once a minute: the first as it comes, then the
// last of those that came since, with how many more there were.
type repeats struct {
	next   slog.Handler
	prefix string // the attributes and groups given so far
	seen   *seen
}

func (f *repeats) Enabled(ctx context.Context, l slog.Level) bool { return f.next.Enabled(ctx, l) }

func (f *repeats) Handle(ctx context.Context, r slog.Record) error {
	if f.seen.folds(f.key(r), f.next, r) {
		return nil
	}
	return f.next.Handle(ctx, r)
}

// key is all of a line but its time.
func (f *repeats) key(r slog.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", r.Level, r.Message, f.prefix)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s", a)
		return true
	})
	return b.String()
}

func (f *repeats) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &repeats{f.next.WithAttrs(attrs), f.prefix + fmt.Sprint(attrs), f.seen}
}

func (f *repeats) WithGroup(name string) slog.Handler {
	return &repeats{f.next.WithGroup(name), f.prefix + name + ".", f.seen}
}

// seen remembers the lines of the last minute.
type seen struct {
	mu    sync.Mutex
	lines map[string]*repeat
}

// repeat is what came like a line since that was written.
type repeat struct {
	last   slog.Record
	next   slog.Handler // of last
	folded int
	over   *time.Timer // when it is written
}

func newSeen() *seen { return &seen{lines: map[string]*repeat{}} }

// folds takes a line like one of the last minute, to be written when that is over; of others
// it reports that they are to be written now.
func (s *seen) folds(key string, next slog.Handler, r slog.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if line := s.lines[key]; line != nil {
		line.last, line.next, line.folded = r.Clone(), next, line.folded+1
		return true
	}
	if len(s.lines) >= seenMost {
		s.forget()
	}
	line := new(repeat)
	line.over = time.AfterFunc(foldFor, func() { s.end(key, line) })
	s.lines[key] = line
	return false
}

// end ends a line's minute. The next begins where the line came again.
func (s *seen) end(key string, line *repeat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.lines[key] != line: // forgotten meanwhile
	case line.folded == 0:
		delete(s.lines, key)
	default:
		line.write()
		line.over.Reset(foldFor)
	}
}

// forget keeps the memory bounded where too many lines are new: all end their minute now.
func (s *seen) forget() {
	for _, line := range s.lines {
		if line.over.Stop(); line.folded > 0 {
			line.write()
		}
	}
	clear(s.lines)
}

// write writes the last line, and how many were folded into it.
func (l *repeat) write() {
	if l.folded > 1 {
		l.last.AddAttrs(slog.Int("repeated", l.folded-1))
	}
	l.next.Handle(context.Background(), l.last) // a log that cannot be written has nobody to tell
	l.folded = 0
}
