// Package logging writes the log: lines for a terminal, a file or systemd's
// journal, in which what repeats is folded.
package logging

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"

	"dynvit/printable"
)

// Options say what is written and how.
type Options struct {
	Level   string         // least level: debug, info, warn or error
	Var     *slog.LevelVar // holds it, for who changes it later; nil: nobody does
	JSON    bool           // an object a line; else text, key=value
	Journal bool           // w is systemd's journal
}

// New writes lines to w. For a journal each line begins with its priority, <6>
// for info, and text lines leave out the time, which the journal has. Lines that
// repeat are folded into one a minute.
func New(w io.Writer, o Options) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		return nil, fmt.Errorf("%q: want debug, info, warn or error", o.Level)
	}
	if o.Var == nil {
		o.Var = new(slog.LevelVar)
	}
	o.Var.Set(level)
	lines := &lineWriter{to: w, journal: o.Journal}
	ho := &slog.HandlerOptions{Level: o.Var}
	if o.Journal && !o.JSON {
		ho.ReplaceAttr = withoutTime
	}
	var h slog.Handler = slog.NewTextHandler(lines, ho)
	if o.JSON {
		h = slog.NewJSONHandler(lines, ho)
	}
	return slog.New(&repeats{next: &prioritised{Handler: h, lines: lines}, seen: newSeen()}), nil
}

// UnderJournal reports whether f is the stream that systemd connected to its
// journal; a redirected stderr is not, though the variable is inherited. See
// systemd.exec(5), $JOURNAL_STREAM.
func UnderJournal(f *os.File, getenv func(string) string) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

// lineWriter puts the priority of the record being written before its line, and
// escapes what slog leaves as it is: JSON hides in it what turns the direction of
// writing, both forms what has no width.
type lineWriter struct {
	to      io.Writer
	journal bool

	mu    sync.Mutex // held by prioritised.Handle
	level slog.Level
	line  bytes.Buffer
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.line.Reset()
	if w.journal {
		w.line.WriteString(priority(w.level))
	}
	w.line.WriteString(printable.Line(string(bytes.TrimSuffix(p, []byte("\n")))))
	w.line.WriteByte('\n')
	_, err := w.to.Write(w.line.Bytes())
	return len(p), err
}

// priority is the prefix that sd-daemon(3) gives to a level.
func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}

// prioritised tells the lineWriter below its handler the level of each record.
type prioritised struct {
	slog.Handler
	lines *lineWriter
}

func (p *prioritised) Handle(ctx context.Context, r slog.Record) error {
	p.lines.mu.Lock()
	defer p.lines.mu.Unlock()
	p.lines.level = r.Level
	return p.Handler.Handle(ctx, r)
}

func (p *prioritised) WithAttrs(a []slog.Attr) slog.Handler {
	return &prioritised{p.Handler.WithAttrs(a), p.lines}
}

func (p *prioritised) WithGroup(name string) slog.Handler {
	return &prioritised{p.Handler.WithGroup(name), p.lines}
}
