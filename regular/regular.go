// Package regular opens files that are files: what is named like one and is a pipe, a
// socket or a device would keep who opens it waiting, for ever or for what is no
// content.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrIrregular is why a pipe, a socket or a device is not opened.
var ErrIrregular = errors.New("not a regular file")

// Open opens a regular file, or a link to one, to read. It never waits, and never
// touches a device. Errors are *fs.PathErrors.
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil {
		err = check(path, info)
	}
	if err != nil {
		return nil, unnamed(err, path)
	}
	// It may be a pipe by now, whose opening would wait for the other end.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, unnamed(err, path)
	}
	if info, err = file.Stat(); err == nil {
		err = check(path, info)
	}
	if err != nil {
		file.Close()
		return nil, unnamed(err, path)
	}
	return file, nil
}

// Read is the content of a regular file of at most most bytes.
func Read(path string, most int) ([]byte, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("more than %d bytes", most)
	}
	if err != nil {
		return nil, unnamed(err, path)
	}
	return data, nil
}

func check(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: syscall.EISDIR}
	case !info.Mode().IsRegular():
		return &fs.PathError{Op: "open", Path: path, Err: ErrIrregular}
	}
	return nil
}

// unnamed gives every error the same form.
func unnamed(err error, path string) error {
	return &fs.PathError{Op: "open", Path: path, Err: Pathless(err)}
}

// Pathless takes the path off an error of the os package that will get one.
func Pathless(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
