package mqtt_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
	"dynvit/mqtt/spool"
)

const eventTopic = node + "/camera/door/event"

// kept starts a client that reaches b in memory and keeps its events on d.
func kept(t *testing.T, b *mqtttest.Broker, d *mqtttest.Disk, edit func(*mqtt.Options)) *mqtt.Client {
	t.Helper()
	return startClient(t, func(o *mqtt.Options) {
		o.Dial, o.OpenDisk = b.Dial, d.Open
		if edit != nil {
			edit(o)
		}
	})
}

// events publishes the numbers from to to.
func events(t *testing.T, c *mqtt.Client, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		publish(t, c, event(fmt.Sprintf("%05d", i)))
	}
}

func numbers(from, to int) []string {
	var list []string
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprintf("%05d", i))
	}
	return list
}

// awaitEvent waits for one of them.
func awaitEvent(t *testing.T, b *mqtttest.Broker, n int) []string {
	t.Helper()
	s := await(t, b, func(s mqtttest.State) bool { return slices.Contains(s.Topic(eventTopic), fmt.Sprintf("%05d", n)) })
	synctest.Wait()
	return s.Topic(eventTopic)
}

func wantEvents(t *testing.T, got []string, from, to int) {
	t.Helper()
	if want := numbers(from, to); !slices.Equal(got, want) {
		t.Errorf("events %q, want %d to %d", got, from, to)
	}
}

func TestEventsOutliveAKilledProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		b.Down()
		first := kept(t, b, d, nil)
		events(t, first, 1, 30)
		publish(t, first, state("info", "of the first"))
		synctest.Wait()
		if st := first.Status(); st.Events != 30 || st.Unsynced != 30 || !st.OnDisk {
			t.Errorf("status %+v, want 30 events written and not yet synced", st)
		}
		time.Sleep(time.Second)
		if st := first.Status(); st.Unsynced != 0 {
			t.Errorf("status %+v, want all synced after a second", st)
		}
		if _, syncs := d.Effort(); syncs != 1 {
			t.Errorf("%d syncs for the events of one moment, want one", syncs)
		}

		second := kept(t, b, d.Killed(), nil)
		events(t, second, 31, 40) // before the disk was read, or after
		abandon(first)
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
		wantEvents(t, awaitEvent(t, b, 40), 1, 40)
		if _, known := b.State().Retained[node+"/info"]; known {
			t.Error("a state of the killed process was published")
		}
		mustClose(t, second)
	})
}

func TestAcknowledgedEventsDoNotComeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		first := kept(t, b, d, nil)
		events(t, first, 1, 50)
		awaitEvent(t, b, 50)
		b.Set(mqtttest.Fault{NoAck: true})
		events(t, first, 51, 60)
		awaitEvent(t, b, 60)
		b.Set(mqtttest.Fault{})
		second := kept(t, b, d.Killed(), nil)
		s := await(t, b, func(s mqtttest.State) bool { return len(s.Topic(eventTopic)) == 70 })
		wantEvents(t, s.Topic(eventTopic)[60:], 51, 60)
		abandon(first)
		mustClose(t, second)
	})
}

func TestEventsThatAreAcknowledgedInTimeAreNotSynced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		c := kept(t, b, d, nil)
		for i := range 200 {
			events(t, c, i, i)
			time.Sleep(time.Second)
		}
		writes, syncs := d.Effort()
		if writes < 200 || syncs != 0 {
			t.Errorf("200 events: %d writes and %d syncs, want no sync", writes, syncs)
		}
		if st := c.Status(); st.Unsynced != 0 || st.Events != 0 {
			t.Errorf("status %+v, want nothing left to sync", st)
		}
		mustClose(t, c)
		if _, files := d.Size(); files != 0 {
			t.Errorf("%d files are left of a closed client without events", files)
		}
	})
}

// TestSegmentsGoAfterAnOutage: the disk is freed as the events are acknowledged.
func TestSegmentsGoAfterAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		b.Down()
		c := kept(t, b, d, nil)
		long := strings.Repeat("x", 10_000)
		for range 500 {
			publish(t, c, event(long))
			synctest.Wait()
		}
		if bytes, files := d.Size(); bytes < 5_000_000 || files < 4 {
			t.Fatalf("%d bytes in %d files, want 5 MB in some", bytes, files)
		}
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
		await(t, b, func(s mqtttest.State) bool { return len(s.Topic(eventTopic)) == 500 })
		time.Sleep(time.Minute)
		if bytes, files := d.Size(); files > 1 {
			t.Errorf("%d bytes in %d files after all was acknowledged, want the open one alone", bytes, files)
		}
		mustClose(t, c)
	})
}

// TestFaultDiskFails: whatever is wrong with the disk, events are published, one
// warning is logged, and when it works again they are on it.
func TestFaultDiskFails(t *testing.T) {
	faults := map[string]mqtttest.DiskFault{
		"no folder":        {Absent: true},
		"read-only":        {ReadOnly: true},
		"full":             {Full: true},
		"full, a little":   {Full: true, Room: 1000},
		"cannot be synced": {NoSync: true},
	}
	for name, fault := range faults {
		for _, early := range []bool{true, false} {
			if fault.Absent && !early {
				continue // an open file does not notice
			}
			t.Run(fmt.Sprint(name, ", from the start ", early), func(t *testing.T) {
				bubble(t, func(t *testing.T) { testDiskFails(t, fault, early) })
			})
		}
	}
}

func testDiskFails(t *testing.T, fault mqtttest.DiskFault, early bool) {
	b, d := mqtttest.New(), mqtttest.NewDisk()
	defer b.Close()
	if early {
		d.Set(fault)
	}
	var log mqtttest.Log
	c := kept(t, b, d, func(o *mqtt.Options) { o.Log = log.Logger(slog.LevelInfo) })
	synctest.Wait()
	events(t, c, 1, 10)
	awaitEvent(t, b, 10)
	b.Down()
	events(t, c, 11, 20)
	time.Sleep(time.Second)
	d.Set(fault)
	events(t, c, 21, 60)
	time.Sleep(5 * time.Minute)
	st := c.Status()
	if st.OnDisk || st.DiskError == "" || st.Events != 50 {
		t.Errorf("status %+v, want 50 events in memory", st)
	}
	if n := strings.Count(log.String(), "level=WARN msg=\"mqtt: outbox"); n != 1 {
		t.Errorf("%d warnings in five minutes, want one:\n%s", n, log.String())
	}
	if _, files := d.Size(); files > 3 {
		t.Errorf("%d files after five minutes of attempts", files)
	}
	d.Set(mqtttest.DiskFault{})
	time.Sleep(20 * time.Second)
	if st := c.Status(); !st.OnDisk || st.DiskError != "" || st.Unsynced != 0 {
		t.Errorf("status %+v, want all on the disk that works again", st)
	}
	if !strings.Contains(log.String(), "the disk works again") {
		t.Errorf("the log does not say that the disk works again:\n%s", log.String())
	}
	second := kept(t, b, d.Killed(), nil)
	if err := b.Up(); err != nil {
		t.Fatal(err)
	}
	got := awaitEvent(t, b, 60)
	abandon(c)
	mustClose(t, second)
	got = slices.Compact(slices.Sorted(slices.Values(got))) // both clients publish them
	wantEvents(t, got, 1, 60)
	t.Logf("60 events, 50 of them while the disk failed for five minutes (%v): one warning, none lost, all on disk when it works again", st.DiskError)
}

// TestReadOnlyDiskIsRead: what the second process reads from a disk that does
// not take anything any more is published, and new events come after it.
func TestReadOnlyDiskIsRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		b.Down()
		first := kept(t, b, d, nil)
		events(t, first, 1, 10)
		synctest.Wait()
		after := d.Killed()
		after.Set(mqtttest.DiskFault{ReadOnly: true})
		second := kept(t, b, after, nil)
		events(t, second, 11, 20)
		abandon(first)
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
		wantEvents(t, awaitEvent(t, b, 20), 1, 20)
		mustClose(t, second)
	})
}

// TestFaultSlowDisk: neither publishers nor the broker wait for it.
func TestFaultSlowDisk(t *testing.T) {
	for name, fault := range map[string]func() mqtttest.DiskFault{
		"slow":  func() mqtttest.DiskFault { return mqtttest.DiskFault{Slow: 3 * time.Second} },
		"hangs": func() mqtttest.DiskFault { return mqtttest.DiskFault{Hang: make(chan struct{})} },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, d := mqtttest.New(), mqtttest.NewDisk()
				defer b.Close()
				c := kept(t, b, d, nil)
				synctest.Wait()
				f := fault()
				d.Set(f)
				before := time.Now()
				events(t, c, 1, 500)
				awaitEvent(t, b, 500)
				if took := time.Since(before); took != 0 {
					t.Errorf("publishing and delivering took %v", took)
				}
				t.Logf("500 events published and delivered in %v while the disk is %s", time.Since(before), name)
				b.Down()
				events(t, c, 501, 503)
				before = time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
				defer cancel()
				err := c.Close(ctx)
				if took := time.Since(before); took > time.Second {
					t.Errorf("closing took %v", took)
				}
				if err == nil || !strings.Contains(err.Error(), "the disk does not answer: 3 events may be lost") {
					t.Errorf("close: %v, want that the disk does not answer", err)
				}
				if f.Hang != nil {
					close(f.Hang)
				}
				time.Sleep(time.Minute) // the slow one's last writes
			})
		})
	}
}

func TestDiskThatHangsWhileItIsReadIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		answer := make(chan struct{})
		c := kept(t, b, d, func(o *mqtt.Options) {
			open := o.OpenDisk
			o.OpenDisk = func() (spool.Disk, error) { <-answer; return open() }
		})
		events(t, c, 1, 5)
		time.Sleep(9 * time.Second)
		if got := b.State().Topic(eventTopic); len(got) != 0 {
			t.Errorf("%q were published while older ones may be on the disk", got)
		}
		awaitEvent(t, b, 5)
		close(answer)
		mustClose(t, c)
	})
}

func TestEventsExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		b.Down()
		var log mqtttest.Log
		edit := func(o *mqtt.Options) { o.EventTTL, o.Log = time.Hour, log.Logger(slog.LevelInfo) }
		first := kept(t, b, d, edit)
		events(t, first, 1, 5)
		time.Sleep(50 * time.Minute)
		events(t, first, 6, 9)
		time.Sleep(30 * time.Minute) // the clock of a bubble goes on, the kernel's does not
		if st := first.Status(); st.Events != 4 || st.Dropped.Expired != 5 {
			t.Errorf("status %+v, want five of nine events expired", st)
		}
		time.Sleep(time.Minute)
		if !strings.Contains(log.String(), "messages dropped") || !strings.Contains(log.String(), "expired=5") {
			t.Errorf("the log does not tell of five expired events:\n%s", log.String())
		}
		second := kept(t, b, d.Killed(), edit)
		abandon(first)
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
		wantEvents(t, awaitEvent(t, b, 9), 6, 9)
		mustClose(t, second)
	})
}

// TestOutboxIsBoundedOnDisk: the oldest go, are counted, and do not come back.
func TestOutboxIsBoundedOnDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		b.Down()
		edit := func(o *mqtt.Options) { o.QueueMessages = 101 } // the birth state is one
		first := kept(t, b, d, edit)
		for i := range 10_000 {
			events(t, first, i, i)
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		time.Sleep(time.Minute)
		if st := first.Status(); st.Events != 100 || st.Dropped.Overflow != 9900 || st.Unsynced != 0 {
			t.Errorf("status %+v, want 100 events left", st)
		}
		if bytes, files := d.Size(); bytes > 1_300_000 || files > 2 {
			t.Errorf("%d bytes in %d files for 100 events", bytes, files)
		}
		less := func(o *mqtt.Options) { o.QueueMessages = 51 }
		second := kept(t, b, d.Killed(), less)
		synctest.Wait()
		if st := second.Status(); st.Events != 50 || st.Dropped.Overflow != 50 {
			t.Errorf("status %+v, want 50 of the 100 events that were read", st)
		}
		abandon(first)
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
		wantEvents(t, awaitEvent(t, b, 9999), 9950, 9999)
		mustClose(t, second)
	})
}

func TestCloseKeepsWhatWasNotDelivered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		c := kept(t, b, d, nil)
		synctest.Wait()
		b.Set(mqtttest.Fault{NoAck: true})
		events(t, c, 1, 50)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("close: %v, want none: all is on disk", err)
		}
		if err := c.Close(ctx); err != nil {
			t.Errorf("second close: %v", err)
		}
		b.Set(mqtttest.Fault{})
		seen := len(b.State().Topic(eventTopic))
		c = kept(t, b, d, nil)
		got := awaitEvent(t, b, 50)
		wantEvents(t, got[seen:], 1, 50)

		b.Down()
		d.Set(mqtttest.DiskFault{ReadOnly: true})
		events(t, c, 51, 53)
		synctest.Wait()
		err := c.Close(ctx)
		if err == nil || !strings.Contains(err.Error(), "3 events are lost") {
			t.Errorf("close without broker and disk: %v, want that three events are lost", err)
		}
	})
}

// TestConnectedIsSaid: whenever a connection is back for good the log's last word is that; two clients that throw each
// other out say it once a minute.
func TestConnectedIsSaid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		var log mqtttest.Log
		c := kept(t, b, d, func(o *mqtt.Options) { o.Log = log.Logger(slog.LevelInfo) })
		const connected = "mqtt: connected"
		words := func() []string { return strings.Split(strings.TrimSpace(log.String()), "\n") }
		for outage := range 3 { // at once, a second after the last is known to be over, and long after
			time.Sleep([]time.Duration{10 * time.Second, time.Second, time.Hour}[outage])
			b.Down()
			time.Sleep(10 * time.Second)
			b.Up()
			time.Sleep(95 * time.Second)
			synctest.Wait()
			if w := words(); !strings.Contains(w[len(w)-1], connected) || !strings.Contains(w[len(w)-2], "no connection") {
				t.Errorf("outage %d:\n%s", outage, log.String())
			}
		}
		before := strings.Count(log.String(), connected)
		for range 90 { // three minutes
			time.Sleep(2 * time.Second)
			b.Cut()
		}
		if n := strings.Count(log.String(), connected) - before; n > 4 {
			t.Errorf("cut every two seconds: connected is said %d times\n%s", n, log.String())
		}
		time.Sleep(30 * time.Second) // until it is back
		synctest.Wait()
		mustClose(t, c)
	})
}

// TestFaultRival: another client of the same id takes the connection again and
// again.
func TestFaultRival(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := mqtttest.New()
		defer b.Close()
		var log mqtttest.Log
		c := startClient(t, func(o *mqtt.Options) { o.Dial, o.Log = b.Dial, log.Logger(slog.LevelInfo) })
		take := func(n int) {
			for range n {
				await(t, b, func(s mqtttest.State) bool { return s.Open == 1 })
				synctest.Wait()
				b.Cut()
				synctest.Wait()
			}
		}
		const name = `probably another client has the client id \"dynvit-box\"`
		take(2)
		if strings.Contains(log.String(), "probably") {
			t.Errorf("suspected after two connections:\n%s", log.String())
		}
		take(20)
		if n := strings.Count(log.String(), name); n != 1 {
			t.Errorf("the log names the client id %d times, want once:\n%s", n, log.String())
		}
		t.Log("connection taken over 22 times: named once as probably another client of the same id")
		if st := c.Status(); !strings.Contains(st.LastError, `client id "dynvit-box"`) {
			t.Errorf("status %+v", st)
		}
		// A broker that is away in between is another matter.
		b.Down()
		time.Sleep(time.Minute)
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
		take(1)
		if st := c.Status(); strings.Contains(st.LastError, "probably") {
			t.Errorf("status %+v, want the suspicion gone", st)
		}
		await(t, b, func(s mqtttest.State) bool { return s.Open == 1 })
		synctest.Wait()
		mustClose(t, c)
	})
}
