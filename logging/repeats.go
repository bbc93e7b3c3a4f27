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

// repeats is a handler that writes equal lines once a minute, with how many were
// folded into it.
type repeats struct {
	next   slog.Handler
	prefix string // the attributes and groups given so far
	seen   *seen
}

func (f *repeats) Enabled(ctx context.Context, l slog.Level) bool { return f.next.Enabled(ctx, l) }

func (f *repeats) Handle(ctx context.Context, r slog.Record) error {
	folded, show := f.seen.line(f.key(r), r.Time)
	if !show {
		return nil
	}
	if folded > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("repeated", folded))
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

type repeat struct {
	written time.Time
	folded  int // since then
}

func newSeen() *seen { return &seen{lines: map[string]*repeat{}} }

// line reports whether to write a line, and how many like it were not.
func (s *seen) line(key string, now time.Time) (folded int, show bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.lines[key]
	if known && now.Sub(r.written) < foldFor {
		r.folded++
		return 0, false
	}
	if known {
		folded = r.folded
	}
	s.forget(now)
	s.lines[key] = &repeat{written: now}
	return folded, true
}

// forget keeps the memory bounded: old lines go, and all of them where too many
// are new, at the price of a line written twice.
func (s *seen) forget(now time.Time) {
	if len(s.lines) < seenMost {
		return
	}
	for key, r := range s.lines {
		if now.Sub(r.written) >= foldFor {
			delete(s.lines, key)
		}
	}
	if len(s.lines) >= seenMost {
		clear(s.lines)
	}
}
