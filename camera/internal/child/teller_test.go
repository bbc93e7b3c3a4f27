package child

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestTeller: lines are bounded in length and number, and show no secrets.
func TestTeller(t *testing.T) {
	var out bytes.Buffer
	tell := newTeller(slog.New(slog.NewTextHandler(&out, nil)), "ffmpeg", nil)
	now := time.Now()
	tell.write([]byte("cannot open rtsp://me:s3cret@cam/x\n\n10 %\r20"), now)
	tell.write([]byte(" %\n"+strings.Repeat("x", 100_000)+"\n"), now)
	tell.write([]byte(strings.Repeat("y", tellLine-20)+" rtsp://me:s3cret@cam\n"), now)
	for i := range 1000 {
		tell.write(fmt.Appendf(nil, "line %d\n", i), now)
	}
	tell.write([]byte("a minute later\n"), now.Add(tellPeriod+time.Second))
	got := out.String()
	for _, want := range []string{`"cannot open rtsp://***@cam/x"`, `"10 %"`, `"20 %"`, `"line 0"`, "lines=995", "a minute later", "program=ffmpeg"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%.2000s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n != tellLines+2 || len(got) > 3000 || strings.Contains(got, "s3cret") {
		t.Errorf("%d lines, %d bytes:\n%.2000s", n, len(got), got)
	}
	newTellerIsNil(t)
}

func newTellerIsNil(t *testing.T) {
	t.Helper()
	var said tail // without a log
	if said.Write([]byte("x\n")); newTeller(nil, "x", nil) != nil || said.last() != "x" {
		t.Error("a log where there is none")
	}
}
