package daemon

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestEventsWaitForTheNextStart: those of a daemon that never met its broker are
// published by the next one, before its own.
func TestEventsWaitForTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := t.TempDir()
		keep := testConfig()
		keep.Latency.Keep.Ratio = 0.7 // no calibration
		live := func(away bool, classes ...byte) *rig {
			var list []shot
			for _, class := range classes {
				list = append(list, shots(class, 3)...)
			}
			s := sources{"test:": {newScripted(time.Second, io.EOF, list...)}}
			return run(t, keep, s, func(r *rig, d *Deps) {
				d.State = state
				if away {
					d.bootID = "first"
					r.broker.Down()
				}
			})
		}
		first := live(true, 1, 2, 3)
		after(20 * time.Second)
		if s := first.reporting.statistics.take().Outbox; s.Events != 3 || s.Bytes == 0 || !s.OnDisk {
			t.Errorf("stats %+v, want three events on disk", s)
		}
		if h := first.condition.health().Outbox; h.Events != 3 || h.Unsynced != 0 || !h.OnDisk || h.Error != "" {
			t.Errorf("health %+v", h)
		}
		first.halt()
		if log := first.log.String(); !strings.Contains(log, "events wait on disk for the next start") {
			t.Errorf("log:\n%s", log)
		}

		second := live(false, 2, 0)
		after(20 * time.Second)
		var ids []string
		for _, payload := range second.broker.State().Topic(root + "/camera/door/event") {
			_, rest, _ := strings.Cut(payload, `"id":"`)
			id, _, _ := strings.Cut(rest, `"`)
			ids = append(ids, id)
		}
		if want := []string{"first-1", "first-2", "first-3", "b00t-1", "b00t-2"}; !slices.Equal(ids, want) {
			t.Errorf("events %v, want %v", ids, want)
		}
		if s := second.reporting.statistics.take().Outbox; s.Events != 0 || s.Dropped != 0 {
			t.Errorf("stats %+v, want none left", s)
		}
		second.halt()
	})
}

// TestEventsOfEarlierName: what waited when the node was renamed in its configuration waits on,
// under its own topics; that of another node, or of one that has events of its own, is left alone.
func TestEventsOfEarlierName(t *testing.T) {
	const waits = "00000001.log"
	for _, tt := range []struct {
		name          string
		configuration string // of the earlier node
		own           bool   // has the node an outbox?
		moved         bool
	}{
		{"renamed", "/etc/dynvit.yaml", false, true},
		{"another node", "/etc/other.yaml", false, false},
		{"both have events", "/etc/dynvit.yaml", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := t.TempDir()
			put := func(path, text string) {
				t.Helper()
				path = filepath.Join(state, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			put("discovery/porch.json", `{"configuration":"`+tt.configuration+`","topics":["dynvit/porch/status"]}`)
			put("outbox/porch/"+waits, "porch")
			if tt.own {
				put("outbox/garden/"+waits, "garden")
			}
			d := &Daemon{node: "garden", deps: Deps{State: state, Configuration: "/etc/dynvit.yaml"}, log: slog.New(slog.DiscardHandler)}
			disk, err := d.openDisk()
			if err != nil {
				t.Fatal(err)
			}
			defer disk.Close()
			text, _ := os.ReadFile(filepath.Join(state, "outbox/garden", waits))
			if moved := string(text) == "porch"; moved != tt.moved {
				t.Errorf("the outbox has %q", text)
			}
			if _, err := os.Stat(filepath.Join(state, "outbox/porch")); (err != nil) != tt.moved {
				t.Errorf("the earlier one's: %v", err)
			}
		})
	}
}
