// Package machine reads what the kernel says about the box: its hardware, how
// warm it is, how much memory this process takes, whether the clock is right, and
// the fingerprint that a calibration holds for. What cannot be found out is left
// empty: a box without a thermal zone is no error.
package machine

import (
	"bufio"
	"io"
	"io/fs"
	"strings"
)

// Machine is a box by the root of its file system. It is safe for concurrent use.
type Machine struct{ root fs.FS }

// At is the machine whose file system has this root, os.DirFS("/") for this one.
func At(root fs.FS) Machine { return Machine{root} }

// maxFile bounds what is read of one file under /proc or /sys: cpuinfo of 256
// cores takes 0.4 MiB.
const maxFile = 4 << 20

// scan hands over the lines of a file until take returns false; none where it
// cannot be read.
func (m Machine) scan(path string, take func(string) (more bool)) {
	f, err := m.root.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxFile))
	for lines.Scan() && take(lines.Text()) {
	}
}

// line is the first line of a file, "" where there is none.
func (m Machine) line(path string) (first string) {
	m.scan(path, func(text string) bool {
		first = strings.TrimSpace(strings.TrimRight(text, "\x00"))
		return false
	})
	return first
}

// field is the value of the first line "name: value" of a file, "" where there
// is none.
func (m Machine) field(path, name string) (value string) {
	m.scan(path, func(text string) bool {
		word, v, ok := strings.Cut(text, ":")
		if found := ok && strings.TrimSpace(word) == name; found {
			value = strings.TrimSpace(v)
			return false
		}
		return true
	})
	return value
}
