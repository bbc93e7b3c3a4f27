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
	"strings"
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
	p := child.NewProgram("exec:"+t.words[0], append([]string{path}, t.words[1:]...), o)
	p.Hide(values(t.words))
	return &source{Program: p}, nil
}

// leastSecret is the length in bytes from which on an option's value may be a secret: what
// is shorter is in many words.
const leastSecret = 6

// values are those of a command's options (-u X, --key=X, key=X) that may be secrets, which
// programs repeat in what they say. Paths are none.
func values(words []string) (list []string) {
	for i, w := range words[1:] {
		v, ofOption := w, strings.HasPrefix(words[i], "-") && !strings.HasPrefix(w, "-")
		if _, after, ok := strings.Cut(w, "="); ok {
			v, ofOption = after, true
		}
		if ofOption && len(v) >= leastSecret && !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, ".") {
			list = append(list, v)
		}
	}
	return list
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
