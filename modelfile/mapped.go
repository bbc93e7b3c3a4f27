package modelfile

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"dynvit/regular"
)

// mapFile maps a regular file that is not empty, read only. Pages come in as they
// are used and go again under memory pressure, which suits boxes with little
// memory; the price is that a file truncated by others while it is mapped ends
// the process (SIGBUS), so model files are replaced by rename, never rewritten.
func mapFile(path string) (data []byte, unmap func() error, err error) {
	file, err := regular.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, errors.Unwrap(err)) // a *fs.PathError
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, nil, err
	case info.Size() == 0:
		return nil, nil, fmt.Errorf("%s: empty file", path)
	case int64(int(info.Size())) != info.Size():
		return nil, nil, fmt.Errorf("%s: too large for this machine", path)
	}
	data, err = unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s: %w", path, err)
	}
	return data, func() error { return unix.Munmap(data) }, nil
}

// openMapped maps a file and lets parse make a File of it, which then owns the
// mapping; errors name the path.
func openMapped(path string, parse func([]byte) (map[string]string, []Tensor, error)) (*File, error) {
	data, unmap, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	meta, tensors, err := parse(data)
	if err != nil {
		unmap() // cannot fail: it is a mapping we made
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return newFile(path, data, meta, tensors, unmap), nil
}
