package daemon

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/messages"
)

// TestStatus lets things happen to a camera with a time-out of 10 s and holds
// the published words to the wish.
func TestStatus(t *testing.T) {
	for _, c := range []struct{ name, script, want, reason string }{
		{"frames", "open frame frame", "offline online", ""},
		{"no frame yet", "open 9s", "offline", "at first"},
		{"never a frame", "open 11s", "offline stalled", "no frame for 10s"},
		{"slow but in time", "open 9s frame 9s frame 9s", "offline online", ""},
		{"stall and back", "open frame 11s frame", "offline online stalled online", ""},
		{"fails after a stall", "open frame 11s frame close", "offline online stalled online offline", "cut"},
		{"fails", "open frame close", "offline online offline", "cut"},
		{"fails at once, often", "open close open close open close", "offline", "cut"},
		{"source gives up on a silent peer", "open frame 11s close", "offline online stalled", "cut"},
		{"and is then away", "open frame 11s close open close", "offline online stalled offline", "cut"},
		{"closed in time", "open frame close 1h", "offline online offline", "cut"},
		{"cannot be opened", "close", "offline", "cut"},
		{"a damaged frame", "open frame bad", "offline online", ""},
		{"damaged for ever", "open frame bad 9s frame bad 9s frame bad 9s frame bad", "offline online stalled", "no frame could be read for 10s: no picture"},
		{"damaged now and then", "open frame bad 9s frame good 9s frame bad 9s frame bad frame good", "offline online", ""},
		{"a second damaged frame, rarely", "open frame good 1h frame bad", "offline online stalled online", ""},
		{"readable again", "open frame bad 9s frame bad 9s frame bad frame good", "offline online stalled online", ""},
		{"unreadable, then silent, then unreadable", "open frame bad 9s frame bad 9s frame bad 11s frame", "offline online stalled", "no frame could be read for 10s: no picture"},
		{"opened anew, and no better", "open frame bad 9s frame bad 9s frame bad close open frame", "offline online stalled offline stalled", "no frame could be read for 10s: no picture"},
		{"read after it was closed", "open frame bad 9s frame bad 9s frame bad close good", "offline online stalled offline", "cut"},
		{"retired, and still read", "open frame gone frame 11s frame close", "offline online", ""},
		{"disabled meanwhile", "open frame bad 9s frame bad 9s frame bad off on open frame", "offline online stalled disabled offline online", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var words []string
				s := &status{
					log:     slog.New(slog.DiscardHandler),
					publish: func(word string) { words = append(words, word) },
				}
				s.start(messages.CameraOffline, "at first")
				steps := map[string]func(){
					"open": func() { s.opened(10 * time.Second) }, "frame": s.frame, "close": func() { s.closed("cut") },
					"good": s.read, "bad": func() { s.unread(errors.New("no picture")) },
					"off": func() { s.disabled("a test") }, "on": s.enabled, "gone": s.retire,
				}
				for _, step := range strings.Fields(c.script) {
					if do, ok := steps[step]; ok {
						do()
						continue
					}
					d, err := time.ParseDuration(step)
					if err != nil {
						t.Fatal(err)
					}
					after(d)
				}
				got, said := s.get(), strings.Join(words, " ")
				s.closed("end of the test")
				if said != c.want || got.Reason != c.reason || !strings.HasSuffix(said, got.Word) {
					t.Errorf("published %s; is %s, %q; want %s, %q", said, got.Word, got.Reason, c.want, c.reason)
				}
			})
		})
	}
}
