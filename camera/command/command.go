// Package command is scheme exec: a program of the user's own that writes MJPEG to
// its standard output, JPEG pictures one after another.
package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/child"
	"dynvit/camera/internal/picture"
)

// Scheme is exec:COMMAND ARG…, all of it the command.
func Scheme() camera.Scheme { return camera.Scheme{Names: []string{"exec"}, Fixed: true, Parse: parse} }

// target is a parsed URI: program and arguments.
type target struct{ words []string }

func parse(_, text, _ string) (camera.Target, error) {
	words, err := splitWords(text)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("no command")
	}
	return &target{words}, nil
}

// String leaves the arguments out.
func (t *target) String() string {
	if len(t.words) > 1 {
		return "exec:" + t.words[0] + " …"
	}
	return "exec:" + t.words[0]
}

func (t *target) Open(o camera.Options) (camera.Source, error) {
	path, err := exec.LookPath(t.words[0])
	if err != nil {
		return nil, fmt.Errorf("source exec:%s: program not found or not executable", t.words[0])
	}
	return &source{Program: child.NewProgram("exec:"+t.words[0], append([]string{path}, t.words[1:]...), o)}, nil
}

// source reads a program's pictures.
type source struct {
	*child.Program
	ended bool
	seq   uint64
}

// Next reads one picture; the first starts the program.
func (c *source) Next(ctx context.Context, f *camera.Frame) error {
	if err := c.Check(ctx); err != nil {
		return err
	}
	if c.ended {
		return io.EOF
	}
	err := c.Read(ctx, func(r *bufio.Reader) (err error) {
		f.Data, err = picture.ReadJPEG(r, f.Data, picture.MaxStreamed)
		return err
	})
	if err != nil {
		c.ended = err == io.EOF
		return err
	}
	c.seq++
	f.Format, f.Width, f.Height, f.Name = camera.JPEG, 0, 0, ""
	f.Seq, f.Captured = c.seq, time.Now()
	return nil
}
