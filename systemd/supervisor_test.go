package systemd

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// daemon is what the tests supervise: three loops as the real one has, a
// watchdog of 30 s, in a synctest bubble whose clock they move.
type daemon struct {
	*manager
	camera, inference, publisher *Loop
	log                          bytes.Buffer
}

// supervise runs test against a daemon that has just said READY.
func supervise(t *testing.T, test func(*daemon)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := listen(t, true)
		n, err := New(m.environment("WATCHDOG_USEC=30000000"))
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		var h Health
		d := &daemon{manager: m}
		d.camera = h.Loop("camera door", 5*time.Second)
		d.inference = h.Loop("inference", 10*time.Second)
		d.publisher = h.Loop("publisher", 20*time.Second)
		n.Ready("started")
		m.want("READY=1\nSTATUS=started")

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		s := &Supervisor{Notifier: n, Health: &h, Log: slog.New(slog.NewTextHandler(&d.log, nil))}
		go func() {
			defer close(ended)
			s.Run(ctx)
		}()
		test(d)
		cancel()
		<-ended
	})
}

// fed lets time pass and counts how often the watchdog was fed meanwhile.
func (d *daemon) fed(span time.Duration) int {
	d.t.Helper()
	n := 0
	for range int(span / time.Second) {
		time.Sleep(time.Second)
		synctest.Wait()
		for _, message := range d.drain() {
			if message != "WATCHDOG=1" {
				d.t.Errorf("the manager got %q", message)
			}
			n++
		}
	}
	return n
}

func (d *daemon) wantLog(lines ...string) {
	d.t.Helper()
	got := strings.Split(strings.TrimSpace(d.log.String()), "\n")
	if d.log.Len() == 0 {
		got = nil
	}
	if !slices.EqualFunc(got, lines, strings.Contains) {
		d.t.Errorf("log is\n%s\nwant lines with %q", d.log.String(), lines)
	}
}

func TestWatchdogIsFedFromTheStart(t *testing.T) {
	supervise(t, func(d *daemon) {
		synctest.Wait()
		d.want("WATCHDOG=1") // at once: systemd counts from READY
		if n := d.fed(2 * time.Minute); n != 8 {
			t.Errorf("fed %d times in two minutes, want 8: twice in each interval of 30 s", n)
		}
	})
}

func TestUnpluggedCameraAndAbsentBrokerKeepTheDaemonAlive(t *testing.T) {
	supervise(t, func(d *daemon) {
		synctest.Wait()
		d.drain()
		d.camera.Idle("cannot open /dev/video0: no such file or directory")
		d.inference.Idle("no frame came")
		d.publisher.Idle("broker away")
		if n := d.fed(10 * time.Minute); n != 40 {
			t.Errorf("fed %d times in ten minutes, want 40", n)
		}
		d.wantLog()
	})
}

func TestStuckInferenceStopsTheFeeding(t *testing.T) {
	supervise(t, func(d *daemon) {
		synctest.Wait()
		d.drain()
		d.camera.Busy("reading a frame")
		d.camera.Idle("waiting for the next frame")
		d.publisher.Idle("nothing to publish")
		time.Sleep(14 * time.Second)
		d.inference.Busy("inference of a frame from door")
		if n := d.fed(2 * time.Second); n != 1 {
			t.Errorf("fed %d times one second into the inference, want once", n)
		}
		if n := d.fed(5 * time.Minute); n != 0 {
			t.Errorf("fed %d times while the inference hangs, want never", n)
		}
		d.wantLog(`msg="loop is stuck, the watchdog is no longer fed" loop=inference doing="inference of a frame from door" for=16s`)

		d.inference.Idle("no frame came") // it got through after all
		if n := d.fed(time.Minute); n != 4 {
			t.Errorf("fed %d times in the minute after, want 4", n)
		}
		d.wantLog("is stuck", "fed again")
	})
}

func TestSlowLoopThatMakesProgressIsHealthy(t *testing.T) {
	supervise(t, func(d *daemon) {
		synctest.Wait()
		d.drain()
		fed := 0
		for range 60 { // nine seconds a frame, of ten allowed, and never idle
			d.inference.Busy("inference")
			fed += d.fed(9 * time.Second)
		}
		if fed != 36 {
			t.Errorf("fed %d times in nine minutes, want 36", fed)
		}
		d.wantLog()
	})
}

func TestStuckLoopIsLoggedWithoutAWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := New(func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		var h Health
		h.Loop("inference", 10*time.Second).Busy("inference")
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		(&Supervisor{Notifier: n, Health: &h, Log: slog.New(slog.NewTextHandler(&log, nil))}).Run(ctx)
		if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "loop=inference") {
			t.Errorf("log is %q, want one line on the inference", log.String())
		}
	})
}
