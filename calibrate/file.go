package calibrate

import (
	"fmt"
	"os"

	"dynvit/atomicfile"
	"dynvit/regular"
)

// PartialSuffix is appended to a table's path for what a cancelled run leaves
// behind, so that the last whole calibration stays.
const PartialSuffix = ".partial"

// ReadFile reads the table at path. A missing file is an error that wraps
// fs.ErrNotExist; any other is one line that names the file and what is wrong.
func ReadFile(path string) (*Table, error) {
	f, err := regular.Open(path)
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
	if err := atomicfile.Write(to, t.Encode); err != nil {
		return fmt.Errorf("calibration: %w", err)
	}
	if !t.Partial {
		os.Remove(path + PartialSuffix) // mostly there is none; a leftover does no harm
	}
	return nil
}
