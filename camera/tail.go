package camera

import (
	"bytes"
	"strings"
	"sync"
	"time"
	"unicode"
)

// maxTail is how much of a child's standard error is kept: enough for its last
// lines, whatever it prints.
const maxTail = 2048

// tail keeps the last bytes written to it and tells the log of each line. It may
// be used by several goroutines.
type tail struct {
	mu   sync.Mutex
	buf  []byte
	told *teller // nil: nobody
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
	return redactText(printable(string(text)))
}

// suffix is last as the end of an error's text, "" if nothing was written.
func (t *tail) suffix() string {
	if line := t.last(); line != "" {
		return ": " + line
	}
	return ""
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// redactText hides user, password and query of every URL in a text.
func redactText(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "://")
		if i < 0 {
			return b.String() + s
		}
		end := i + 3
		if n := strings.IndexAny(s[end:], " \t'\"<>"); n >= 0 {
			end += n
		} else {
			end = len(s)
		}
		b.WriteString(s[:i+3])
		b.WriteString(redactAddress(s[i+3 : end]))
		s = s[end:]
	}
}

// redactAddress takes what follows :// in a URL. A password may itself hold an
// @ or a / that nobody escaped: everything before the last @ goes.
func redactAddress(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = "***@" + s[i+1:]
	}
	if i := strings.IndexByte(s, '?'); i >= 0 {
		s = s[:i+1] + "***"
	}
	return s
}
