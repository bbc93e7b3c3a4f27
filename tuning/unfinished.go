package tuning

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dynvit/atomicfile"
	"dynvit/engine"
	"dynvit/machine"
)

// UnfinishedFile in the state folder says that a calibration has begun. A start
// that finds it knows that the last one was killed in the middle, most likely for
// want of memory, and does not try that again.
const UnfinishedFile = "calibration.unfinished"

// Unfinished is the note that a calibration has begun, by its state folder.
type Unfinished string

// Attempt is what a calibration was tried with: with anything else it is worth
// another try.
func Attempt(m engine.Info, version string, root fs.FS) string {
	return fmt.Sprintf("version %s, model %s %s, backend %s, memory limit %d\n", version, m.Model, m.SHA256, m.Backend, machine.At(root).MemoryLimit())
}

func (n Unfinished) path() string { return filepath.Join(string(n), UnfinishedFile) }

// Write leaves the note, and makes its folder where there is none.
func (n Unfinished) Write(attempt string) error {
	if err := os.MkdirAll(string(n), 0o750); err != nil {
		return err
	}
	return atomicfile.Write(n.path(), func(w io.Writer) error {
		_, err := io.WriteString(w, attempt)
		return err
	})
}

// Remove takes the note away; where there is none there is nothing to do.
func (n Unfinished) Remove() { os.Remove(n.path()) }

// Of reports whether this attempt was begun and not ended.
func (n Unfinished) Of(attempt string) bool {
	text, err := os.ReadFile(n.path())
	return err == nil && strings.TrimSpace(string(text)) == strings.TrimSpace(attempt)
}
