// Package child runs the programs that some sources read: a supervised process
// group that dies with the daemon, whose standard output is frames and whose
// standard error goes to the log, bounded and without secrets.
package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/lifetime"
)

// Program is a source's stream out of a child process, one after another if need
// be: the first Read starts one, and whatever goes wrong ends it. One goroutine
// reads; any may Close.
type Program struct {
	lifetime.Lifetime
	name  string // for errors, without secrets
	words []string
	fed   bool // its standard input is ours
	hide  *strings.Replacer
	stall time.Duration
	log   *slog.Logger // nil: none
	r     *bufio.Reader

	frames int    // of the present child, or of the last one
	said   string // the last child's last line of standard error

	mu     sync.Mutex
	child  *process // nil: none runs
	broken error    // what every later Read says
}

// NewProgram will run words[0], which must be a path, with the rest as arguments
// and an empty standard input. name stands for it in errors.
func NewProgram(name string, words []string, o camera.Options) *Program {
	return &Program{
		Lifetime: lifetime.New(), name: name, words: words, stall: o.StallLimit(), log: o.Log,
		r: bufio.NewReaderSize(nil, 64<<10),
	}
}

// Hide has these words shown as *** where the program says them itself. It is called
// before the first Read.
func (p *Program) Hide(words []string) {
	var pairs []string
	for _, w := range slices.SortedFunc(slices.Values(words), func(a, b string) int { return len(b) - len(a) }) {
		pairs = append(pairs, w, "***")
	}
	p.hide = strings.NewReplacer(pairs...)
}

// NewFed is NewProgram for one whose standard input Exchange writes.
func NewFed(name string, words []string, o camera.Options) *Program {
	p := NewProgram(name, words, o)
	p.fed = true
	return p
}

// Read has next take one frame off the child's output. io.EOF says that the
// output ended and the child with status 0; another Read starts it anew. So does
// a Read after one that ctx broke off. Other errors stay.
func (p *Program) Read(ctx context.Context, next func(*bufio.Reader) error) error {
	return p.Exchange(ctx, nil, next)
}

// Frames is how many the present child gave, or the last one.
func (p *Program) Frames() int { return p.frames }

// Failure is an error that says what is wrong, behind the program's name and ahead
// of the last line that the last child wrote to standard error.
func (p *Program) Failure(what string) error { return fmt.Errorf("%s: %s%s", p.name, what, p.said) }

// Exchange is Read after what is first written to the child's standard input.
func (p *Program) Exchange(ctx context.Context, first []byte, next func(*bufio.Reader) error) error {
	if err := p.Check(ctx); err != nil {
		return err
	}
	c, err := p.running()
	if err != nil {
		return err
	}
	err = c.await(ctx, p.stall, func() error {
		if len(first) > 0 {
			if _, err := c.in.Write(first); err != nil {
				return err
			}
		}
		return next(p.r)
	})
	if err == nil {
		p.frames++
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) {
		err = c.finish(ctx, p.stall)
	}
	return p.stop(ctx, err)
}

// Ready waits for the child's next output for at most d, and reports whether it has
// come, its end included. A child that is silent for longer is none the worse for it.
func (p *Program) Ready(ctx context.Context, d time.Duration) (bool, error) {
	if err := p.Check(ctx); err != nil {
		return false, err
	}
	c, err := p.running()
	if err != nil {
		return false, err
	}
	err = c.await(ctx, d, func() error {
		_, err := p.r.Peek(1)
		return err
	})
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return true, nil
	case errors.Is(err, ErrNoFrame):
		return false, nil
	}
	return false, p.stop(ctx, err)
}

// running is the child, started if none is.
func (p *Program) running() (*process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.broken != nil:
		return nil, p.broken
	case p.child != nil:
		return p.child, nil
	}
	c, err := start(p.name, p.words, p.fed, p.hide, p.log)
	if err != nil {
		p.broken = err
		return nil, err
	}
	p.child, p.frames = c, 0
	p.r.Reset(c)
	return c, nil
}

// stop ends the child after err, and says what to tell the caller.
func (p *Program) stop(ctx context.Context, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil {
		p.child.close()
		p.said = p.child.stderr.suffix()
		p.child = nil
	}
	if why := p.Check(ctx); why != nil {
		return why
	}
	if err != io.EOF && p.broken == nil {
		p.broken = err
	}
	return err
}

// Close ends the child and waits for it.
func (p *Program) Close() error {
	p.End()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = camera.ErrClosed
	if p.child != nil {
		p.child.close()
		p.child = nil
	}
	return nil
}
