package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestLoggerFoldsEqualLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, err := New(&out, Options{Level: "info"})
		if err != nil {
			t.Fatal(err)
		}
		door, yard := log.With("camera", "door"), log.With("camera", "yard")
		for range 3 {
			door.Warn("frame dropped", "err", "short")
			yard.Warn("frame dropped", "err", "short")
			time.Sleep(time.Second)
		}
		door.Warn("frame dropped", "err", "long")
		door.WithGroup("g").Warn("frame dropped", "err", "short")
		time.Sleep(foldFor)
		door.Warn("frame dropped", "err", "short")
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 6 || strings.Contains(strings.Join(lines[:4], ""), "repeated") ||
			strings.Count(strings.Join(lines[4:], "\n"), "err=short repeated=1") != 2 { // of each camera, with the second of them
			t.Errorf("got\n%s", out.String())
		}
	})
}

// TestLastWordIsWritten: a line that was folded, and is the last one that there is to say, is written when its minute
// is over, as it was when it came: else a camera that is back within a minute stays offline in the log for ever.
func TestLastWordIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, err := New(&out, Options{Level: "info"})
		if err != nil {
			t.Fatal(err)
		}
		door := log.With("camera", "door")
		start := time.Now()
		door.Info("camera online")
		time.Sleep(20 * time.Second)
		door.Warn("camera offline")
		time.Sleep(10 * time.Second)
		door.Info("camera online")
		back := time.Now()
		time.Sleep(foldFor)
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		last := lines[len(lines)-1]
		if len(lines) != 3 || !strings.Contains(last, "camera online") || strings.Contains(last, "repeated") || !strings.Contains(last, back.Format("15:04:05.000")) {
			t.Errorf("from %v, back at %v:\n%s", start, back, out.String())
		}
	})
}

// TestRepeatsAreBounded: however many different lines come, and come again, few are remembered, and each
// is written at least once more.
func TestRepeatsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newSeen()
		log := slog.New(&repeats{next: slog.NewTextHandler(&out, nil), seen: s})
		const lines = 10 * seenMost
		for i := range lines {
			log.Info(fmt.Sprint("line ", i))
			log.Info(fmt.Sprint("line ", i))
			if len(s.lines) > seenMost {
				t.Fatalf("%d lines remembered", len(s.lines))
			}
		}
		time.Sleep(foldFor)
		synctest.Wait()
		times := map[string]int{}
		for line := range strings.Lines(out.String()) {
			_, what, _ := strings.Cut(line, "msg=")
			times[what]++
		}
		for i := range lines {
			if n := times[fmt.Sprintf("\"line %d\"\n", i)]; n != 2 {
				t.Fatalf("line %d is written %d times", i, n)
			}
		}
	})
}

func TestLoggerJSONAndLevel(t *testing.T) {
	var out bytes.Buffer
	log, err := New(&out, Options{Level: "warn", JSON: true})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("too low")
	log.Warn("a line", "camera", "door")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["msg"] != "a line" || line["camera"] != "door" {
		t.Errorf("%v in %s", err, out.String())
	}
	if _, err := New(&out, Options{Level: "loud"}); err == nil {
		t.Error("level loud: accepted")
	}
}

// TestLevelChanges: also of loggers that were made of the first before.
func TestLevelChanges(t *testing.T) {
	var out bytes.Buffer
	var level slog.LevelVar
	log, err := New(&out, Options{Level: "warn", Var: &level})
	if err != nil {
		t.Fatal(err)
	}
	door := log.With("camera", "door")
	door.Info("before")
	level.Set(slog.LevelInfo)
	door.Info("after")
	if got := out.String(); strings.Contains(got, "before") || !strings.Contains(got, "msg=after camera=door") {
		t.Errorf("got %s", got)
	}
}

func TestLoggerForTheJournal(t *testing.T) {
	var out bytes.Buffer
	log, err := New(&out, Options{Level: "debug", Journal: true})
	if err != nil {
		t.Fatal(err)
	}
	log = log.With(slog.Int("a", 1))
	log.Error("e")
	log.Warn("w")
	log.Info("i")
	log.Debug("d")
	want := "<3>level=ERROR msg=e a=1\n<4>level=WARN msg=w a=1\n<6>level=INFO msg=i a=1\n<7>level=DEBUG msg=d a=1\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestUnderJournal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	for stream, want := range map[string]bool{fmt.Sprintf("%d:%d", stat.Dev, stat.Ino): true, "1:1": false, "": false} {
		if got := UnderJournal(file, func(string) string { return stream }); got != want {
			t.Errorf("JOURNAL_STREAM=%s: %v", stream, got)
		}
	}
}
