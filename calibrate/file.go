package calibrate

import (
	"fmt"
	"os"
	"path/filepath"
)

// PartialSuffix is appended to a table's path for what a cancelled run leaves
// behind, so that the last whole calibration stays.
const PartialSuffix = ".partial"

// ReadFile reads the table at path. A missing file is an error that wraps
// fs.ErrNotExist; any other is one line that names the file and what is wrong.
func ReadFile(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("calibration: %w", err)
	}
	defer f.Close()
	t, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("calibration %s: %w", path, err)
	}
	return t, nil
}

// WriteFile replaces the file at path by the table, wholly or not at all, also
// across a power cut. A partial table goes beside it, to path + PartialSuffix; a
// whole one removes what lies there.
func (t *Table) WriteFile(path string) error {
	if err := t.Check(); err != nil {
		return fmt.Errorf("calibration %s: %w", path, err)
	}
	to := path
	if t.Partial {
		to += PartialSuffix
	}
	if err := t.replace(to); err != nil {
		return fmt.Errorf("calibration %s: %w", to, err)
	}
	if !t.Partial {
		os.Remove(path + PartialSuffix) // mostly there is none; a leftover does no harm
	}
	return nil
}

func (t *Table) replace(path string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".calibration-*.tmp")
	if err != nil {
		return err
	}
	err = t.fill(tmp)
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name()) // what failed before matters more
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// fill writes, syncs and closes a file.
func (t *Table) fill(f *os.File) (err error) {
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	if err := f.Chmod(0o644); err != nil { // CreateTemp makes it for its user alone
		return err
	}
	if err := t.Encode(f); err != nil {
		return err
	}
	return f.Sync()
}

// syncFolder makes a rename in it survive a power cut.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
