// Package atomicfile replaces files whole: a reader, or a machine that lost its
// power, finds the old file or the new one, never a part.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts what emit writes into path, by a synced temporary file of the same
// folder that is renamed. A symbolic link is followed. On an error nothing is
// left behind and the old file stays; errors name path. What is no regular file
// (a folder, a device) is not replaced.
func Write(path string, emit func(io.Writer) error) error {
	target, err := resolve(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	dir := filepath.Dir(target)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(target)+".*.tmp")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	err = fill(tmp, emit)
	if err == nil {
		err = os.Rename(tmp.Name(), target)
	}
	if err == nil {
		err = SyncDir(dir)
	} else {
		os.Remove(tmp.Name()) // what failed before matters more
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	return nil
}

// resolve follows links and refuses what a rename would destroy. A file that is
// not there yet is itself.
func resolve(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil // the folder is looked for by CreateTemp
	}
	if err != nil {
		return "", bare(err)
	}
	info, err := os.Stat(target)
	switch {
	case err != nil:
		return "", bare(err)
	case info.IsDir():
		return "", errors.New("is a directory")
	case !info.Mode().IsRegular():
		return "", errors.New("not a regular file")
	}
	return target, nil
}

// fill writes, syncs and closes a file.
func fill(file *os.File, emit func(io.Writer) error) (err error) {
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	if err := file.Chmod(0o644); err != nil { // CreateTemp makes it for its user alone
		return err
	}
	if err := emit(file); err != nil {
		return err
	}
	return file.Sync()
}

// SyncDir makes a rename in the folder survive a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// bare takes the temporary file's name off an error that gets the real one.
func bare(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}
