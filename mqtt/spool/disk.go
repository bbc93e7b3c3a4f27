package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrInUse says that another process has the folder.
var ErrInUse = errors.New("in use by another process")

// Disk is a folder of files; Folder is the real one. A Log's goroutine is its
// only user.
type Disk interface {
	List() ([]string, error)
	Read(name string, limit int64) ([]byte, error) // at most limit bytes from its beginning
	Create(name string) (File, error)              // which must not exist
	Append(name string) (File, error)              // which must exist
	Remove(name string) error
	Sync() error // makes what was created and removed last
	Close() error
}

// File is one being written.
type File interface {
	io.WriteCloser
	Truncate(size int64) error // later writes go to the new end
	Sync() error
}

// Folder is a Disk in the file system, locked while it is open.
type Folder struct {
	root   *os.Root
	handle *os.File // the same folder, for its lock and to sync it
}

// OpenFolder makes the folder if it is missing and locks it: of two processes,
// the second gets ErrInUse. It works on a read-only file system.
func OpenFolder(path string) (Disk, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	handle, err := lock(root)
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Folder{root, handle}, nil
}

func lock(root *os.Root) (*os.File, error) {
	handle, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(handle.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		handle.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, err
	}
	return handle, nil
}

// List names the folder's entries.
func (f *Folder) List() ([]string, error) {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Read reads the beginning of a file.
func (f *Folder) Read(name string, limit int64) ([]byte, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}

// Create makes a new file.
func (f *Folder) Create(name string) (File, error) { return f.open(name, os.O_CREATE|os.O_EXCL) }

// Append opens a file to write at its end.
func (f *Folder) Append(name string) (File, error) { return f.open(name, 0) }

func (f *Folder) open(name string, flags int) (File, error) {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_APPEND|flags, 0o600)
	if err != nil {
		return nil, err // not file: a nil *os.File is no nil File
	}
	return file, nil
}

// Remove removes a file.
func (f *Folder) Remove(name string) error { return f.root.Remove(name) }

// Sync writes the folder itself to the disk, where the file system can.
func (f *Folder) Sync() error {
	err := f.handle.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// Close unlocks the folder.
func (f *Folder) Close() error { return errors.Join(f.handle.Close(), f.root.Close()) }
