package camera

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// command reads the MJPEG that a program writes to its standard output: JPEG
// pictures one after another.
type command struct {
	program
	ended bool
	seq   uint64
}

func openCommand(s Spec, o Options) (Source, error) {
	path, err := exec.LookPath(s.words[0])
	if err != nil {
		return nil, fmt.Errorf("source exec:%s: program not found or not executable", s.words[0])
	}
	c := &command{}
	c.prepare("exec:"+s.words[0], append([]string{path}, s.words[1:]...), o)
	return c, nil
}

// Next reads one picture; the first starts the program.
func (c *command) Next(ctx context.Context, f *Frame) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	if c.ended {
		return io.EOF
	}
	err := c.read(ctx, func(r *bufio.Reader) (err error) {
		f.Data, err = readJPEG(r, f.Data, maxStreamed)
		return err
	})
	if err != nil {
		c.ended = err == io.EOF
		return err
	}
	c.seq++
	f.Format, f.Width, f.Height, f.Name = JPEG, 0, 0, ""
	f.Seq, f.Captured = c.seq, time.Now()
	return nil
}
