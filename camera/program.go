package camera

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"time"
)

// program is a source's stream out of a child process, one after another if need
// be: the first read starts one, and whatever goes wrong ends it.
type program struct {
	lifetime
	name  string // for errors, without secrets
	words []string
	fed   bool // its standard input is ours
	stall time.Duration
	log   *slog.Logger // nil: none
	r     *bufio.Reader

	frames int    // of the present child, or of the last one
	said   string // the last child's last line of standard error

	mu     sync.Mutex
	child  *child // nil: none runs
	broken error  // what every later read says
}

func (p *program) prepare(name string, words []string, o Options) {
	p.lifetime = newLifetime()
	p.name, p.words, p.stall, p.log = name, words, o.stall(), o.Log
	p.r = bufio.NewReaderSize(nil, 64<<10)
}

// read has next take one frame off the child's output. io.EOF says that the
// output ended and the child with status 0; another read starts it anew. So does
// a read after one that ctx broke off. Other errors stay.
func (p *program) read(ctx context.Context, next func(*bufio.Reader) error) error {
	return p.exchange(ctx, nil, next)
}

// exchange is read after what is first written to the child's standard input.
func (p *program) exchange(ctx context.Context, first []byte, next func(*bufio.Reader) error) error {
	if err := p.check(ctx); err != nil {
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

// running is the child, started if none is.
func (p *program) running() (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.broken != nil:
		return nil, p.broken
	case p.child != nil:
		return p.child, nil
	}
	c, err := startChild(p.name, p.words, p.fed, p.log)
	if err != nil {
		p.broken = err
		return nil, err
	}
	p.child, p.frames = c, 0
	p.r.Reset(c)
	return c, nil
}

// stop ends the child after err, and says what to tell the caller.
func (p *program) stop(ctx context.Context, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil {
		p.child.close()
		p.said = p.child.stderr.suffix()
		p.child = nil
	}
	if why := p.check(ctx); why != nil {
		return why
	}
	if err != io.EOF && p.broken == nil {
		p.broken = err
	}
	return err
}

// Close ends the child and waits for it.
func (p *program) Close() error {
	p.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = ErrClosed
	if p.child != nil {
		p.child.close()
		p.child = nil
	}
	return nil
}
