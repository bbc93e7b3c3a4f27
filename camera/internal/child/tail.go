package child

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"dynvit/camera/internal/address"
)

// maxTail is how much of a child's standard error is kept: enough for its last
// lines, whatever it prints.
const maxTail = 2048

// tail keeps the last bytes written to it and tells the log of each line. It may
// be used by several goroutines.
type tail struct {
	mu   sync.Mutex
	buf  []byte
	told *teller           // nil: nobody
	hide *strings.Replacer // what else is not shown; nil: nothing
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told != nil {
		t.told.write(p, time.Now())
	}
	t.buf = append(t.buf, p[max(0, len(p)-maxTail):]...)
	if extra := len(t.buf) - maxTail; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}

// last is the last line that has something in it, fit for a log: without control
// characters and credentials.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := bytes.TrimSpace(t.buf)
	// Programs draw progress over one line with carriage returns.
	if i := bytes.LastIndexAny(text, "\r\n"); i >= 0 {
		text = text[i+1:]
	}
	return redacted(string(text), t.hide)
}

// redacted is a line without credentials and what else is not shown.
func redacted(line string, hide *strings.Replacer) string {
	if hide != nil {
		line = hide.Replace(line)
	}
	return address.RedactText(line)
}

// suffix is last as the end of an error's text, "" if nothing was written.
func (t *tail) suffix() string {
	if line := t.last(); line != "" {
		return ": " + line
	}
	return ""
}
