// Package atomicfile replaces files whole: a reader, or a machine that lost its
// power, finds the old file or the new one, never a part.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

// Write puts what emit writes into path, by a synced temporary file of the same
// folder that is renamed. Symbolic links are followed, to a file that is not there
// yet, too. A new file has the mode that the umask leaves of 0666, an old one
// keeps its own. On an error nothing is left behind and the old file stays; errors
// name path. What is no regular file (a folder, a device) is not replaced.
func Write(path string, emit func(io.Writer) error) error {
	target, mode, err := resolve(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	dir, name := split(target)
	tmp, err := create(dir, name)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	err = fill(tmp, mode, emit)
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

// mostLinks are followed, as many as the kernel does.
const mostLinks = 40

// resolve follows links and refuses what a rename would destroy. mode is the old
// file's, 0 where there is none.
func resolve(path string) (target string, mode fs.FileMode, err error) {
	if target, err = follow(path); err != nil {
		return "", 0, err
	}
	info, err := os.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return target, 0, nil // the folder is looked for by create
	case err != nil:
		return "", 0, err
	case info.IsDir():
		return "", 0, errors.New("is a directory")
	case !info.Mode().IsRegular():
		return "", 0, errors.New("not a regular file")
	}
	return target, info.Mode().Perm(), nil
}

// follow is what path names in the end, whether it is there or not.
func follow(path string) (string, error) {
	for range mostLinks {
		link, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link, or nothing: Lstat says which
		}
		if !filepath.IsAbs(link) {
			dir, _ := split(path)
			link = dir + link
		}
		path = link
	}
	return "", syscall.ELOOP
}

// split is the folder, with a slash at its end, and the name in it. filepath.Dir
// would take x/.. out, which is another folder than the kernel's where x is a link.
func split(path string) (dir, name string) {
	if dir, name = filepath.Split(path); dir == "" {
		dir = "./"
	}
	return dir, name
}

// create makes an empty file with what the umask leaves of 0666.
func create(dir, name string) (*os.File, error) {
	for {
		file, err := os.OpenFile(fmt.Sprintf("%s.%s.%d.tmp", dir, name, rand.Uint64()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return file, err
		}
	}
}

// fill writes, syncs and closes a file, which gets the mode unless that is 0.
func fill(file *os.File, mode fs.FileMode, emit func(io.Writer) error) (err error) {
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	if mode != 0 {
		if err := file.Chmod(mode); err != nil {
			return err
		}
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
