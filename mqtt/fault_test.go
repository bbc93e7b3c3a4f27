package mqtt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/mqtt"
	"dynvit/mqtt/mqtttest"
	"dynvit/mqtt/spool"
)

// The tests named TestFault… print the figures of the fault table in
// docs/reliability.md.

// often is how often a fault is repeated: in full by `make test-faults`, less
// often among all other tests.
func often(full, short int) int {
	if os.Getenv("DYNVIT_FAULTS") != "" {
		return full
	}
	return short
}

// arrivals counts what arrived of events 1 to n.
type arrivals struct{ events, repeats int }

// checkArrivals expects the numbers 1 to n, each at least once, and new ones in
// order.
func checkArrivals(t *testing.T, got []string, n int) arrivals {
	t.Helper()
	next, repeats := 1, 0
	for _, word := range got {
		i, err := strconv.Atoi(word)
		switch {
		case err != nil:
			t.Fatalf("event %q", word)
		case i < next:
			repeats++
		case i > next:
			t.Fatalf("event %d came after %d", i, next-1)
		default:
			next++
		}
	}
	if next-1 != n {
		t.Fatalf("%d events arrived, want %d", next-1, n)
	}
	return arrivals{n, repeats}
}

// TestFaultBrokerCutMidPublish cuts the connection in the middle of publishing.
func TestFaultBrokerCutMidPublish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const cuts = 200
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		c := kept(t, b, d, nil)
		chance := rand.New(rand.NewPCG(1, 2))
		n := 0
		for range cuts {
			// After the birth state and an event: never the same message again and again.
			b.Set(mqtttest.Fault{CutFrom: 3 + chance.IntN(9), Taken: chance.IntN(2) == 0})
			connects := b.State().Connects
			for range 11 { // with the birth state, more than a connection may last for
				n++
				events(t, c, n, n)
			}
			await(t, b, func(s mqtttest.State) bool { return s.Connects > connects })
		}
		b.Set(mqtttest.Fault{})
		b.Cut()
		a := checkArrivals(t, awaitEvent(t, b, n), n)
		st, reconnects := c.Status(), b.State().Connects-1
		if st.Dropped.Total() != 0 || st.Events != 0 || reconnects < cuts || a.repeats == 0 || a.repeats > reconnects {
			t.Errorf("status %+v, %d events twice; want none dropped or left, one at most twice for each cut", st, a.repeats)
		}
		t.Logf("%d connections cut while publishing: %d events, none lost, all in order, %d delivered twice", reconnects, a.events, a.repeats)
		mustClose(t, c)
	})
}

// recorder is a proxy that notes the events that a broker acknowledged. The
// broker may come and go.
type recorder struct {
	listener net.Listener
	broker   string
	wg       sync.WaitGroup

	mu      sync.Mutex
	got     []string // payloads, as acknowledged
	conns   map[net.Conn]bool
	changed chan struct{}
}

func record(t *testing.T, broker string) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{listener: l, broker: broker, conns: map[net.Conn]bool{}, changed: make(chan struct{}, 1)}
	r.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.mu.Lock()
		for conn := range r.conns {
			conn.Close()
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

func (r *recorder) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.broker)
	if err != nil {
		return
	}
	defer server.Close()
	r.mu.Lock()
	r.conns[client], r.conns[server] = true, true
	r.mu.Unlock()
	var flight sync.Map // payload by packet id
	var version byte    // of the protocol, known before any message
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer client.Close()
		forward(server, client, func(p mqtttest.Packet) {
			id, code := mqtttest.ParsePuback(p)
			if p.First>>4 != 4 {
				return
			}
			if payload, known := flight.LoadAndDelete(id); known && code < 0x80 {
				r.note(payload.(string))
			}
		})
	}()
	forward(client, server, func(p mqtttest.Packet) {
		switch p.First >> 4 {
		case 1:
			version = p.Body[6]
		case 3:
			if m, id, err := mqtttest.ParsePublish(p, version); err == nil && m.Topic == eventTopic {
				flight.Store(id, m.Payload)
			}
		}
	})
	server.Close()
	<-done
}

// forward hands packets on until one side has ended.
func forward(from io.Reader, to io.Writer, look func(mqtttest.Packet)) {
	for {
		p, err := mqtttest.ReadPacket(from)
		if err != nil {
			return
		}
		look(p)
		if _, err := to.Write(p.Bytes()); err != nil {
			return
		}
	}
}

func (r *recorder) note(payload string) {
	r.mu.Lock()
	r.got = append(r.got, payload)
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// await waits until what was acknowledged satisfies ok.
func (r *recorder) await(t *testing.T, ok func(got []string) bool) []string {
	t.Helper()
	ctx, cancel := contextFor(t, patience)
	defer cancel()
	for {
		r.mu.Lock()
		got := slices.Clone(r.got)
		r.mu.Unlock()
		if ok(got) {
			return got
		}
		select {
		case <-r.changed:
		case <-ctx.Done():
			t.Fatalf("%d events were acknowledged in %v", len(got), patience)
		}
	}
}

// TestFaultBrokerKilled kills Debian's broker again and again while events are
// published to it.
func TestFaultBrokerKilled(t *testing.T) { both(t, testFaultBrokerKilled) }

func testFaultBrokerKilled(t *testing.T) {
	t.Parallel() // it waits for real clocks and processes
	kills := often(200, 5)
	address := mqtttest.Reserve(t)
	mosquitto := mqtttest.NewMosquitto(t, mqtttest.Listener(address)+"allow_anonymous true\n")
	r := record(t, address)
	folder := t.TempDir()
	c := startClient(t, keeping("mqtt://"+r.listener.Addr().String(), folder))
	stop, stopped := make(chan struct{}), make(chan int)
	go func() { // publishes until it is told to stop
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for n := 1; ; n++ {
			if err := c.Publish(event(fmt.Sprintf("%05d", n))); err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				stopped <- n
				return
			case <-tick.C:
			}
		}
	}()
	start := time.Now()
	seen := 0
	for range kills {
		mosquitto.Start(t)
		seen = len(r.await(t, func(got []string) bool { return len(got) > seen+5 }))
		mosquitto.Kill()
	}
	took := time.Since(start)
	mosquitto.Start(t)
	close(stop)
	n := <-stopped
	got := r.await(t, func(got []string) bool { return slices.Contains(got, fmt.Sprintf("%05d", n)) })
	a := checkArrivals(t, got, n)
	st := c.Status()
	if st.Dropped.Total() != 0 {
		t.Errorf("status %+v, want nothing dropped", st)
	}
	t.Logf("mosquitto killed %d times in %.0f s: %d events, all acknowledged, in order, %d of them twice", kills, took.Seconds(), a.events, a.repeats)
	mustClose(t, c)
}

func TestFaultBrokerNeverAcknowledges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		b.Set(mqtttest.Fault{NoAck: true})
		c := kept(t, b, d, nil)
		synctest.Wait()
		start := time.Now()
		for i := 1; i <= 600; i++ {
			events(t, c, i, i)
			time.Sleep(time.Second)
		}
		st := c.Status()
		if st.Events != 600 || st.Dropped.Total() != 0 || st.LastError != "no acknowledgement in 20s" {
			t.Errorf("status %+v, want 600 events waiting", st)
		}
		connects := b.State().Connects
		took := time.Since(start)
		b.Set(mqtttest.Fault{})
		start = time.Now()
		got := awaitEvent(t, b, 600)
		if got[len(got)-1] != "00600" {
			t.Errorf("the last event was %s", got[len(got)-1])
		}
		st = c.Status()
		if st.Events != 0 || st.Dropped.Total() != 0 {
			t.Errorf("status %+v, want all delivered", st)
		}
		t.Logf("%v without an acknowledgement: connected anew %d times, 600 events kept, 20 at most in flight; all delivered %.0f s after it acknowledges again", took.Round(time.Minute), connects, time.Since(start).Seconds())
		mustClose(t, c)
	})
}

// deaf is a connection whose other end is gone without a word once it is cut off.
type deaf struct {
	net.Conn
	off chan struct{}
}

func (d deaf) Write(p []byte) (int, error) {
	select {
	case <-d.off:
		return len(p), nil // into the kernel's buffer, which nobody acknowledges
	default:
		return d.Conn.Write(p)
	}
}

func (d deaf) Read(p []byte) (int, error) {
	for {
		n, err := d.Conn.Read(p)
		select {
		case <-d.off:
			if err == nil {
				continue // never arrives
			}
		default:
		}
		return n, err
	}
}

// TestFaultHalfOpen takes the network away without a packet that says so.
func TestFaultHalfOpen(t *testing.T) {
	for _, busy := range []bool{true, false} {
		t.Run(fmt.Sprint("events in flight ", busy), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, d := mqtttest.New(), mqtttest.NewDisk()
				defer b.Close()
				off := make(chan struct{})
				dials := 0
				c := kept(t, b, d, func(o *mqtt.Options) {
					o.Dial = func(ctx context.Context) (net.Conn, error) {
						conn, err := b.Dial(ctx)
						if dials++; dials > 1 || err != nil {
							return conn, err
						}
						return deaf{conn, off}, nil
					}
				})
				events(t, c, 1, 10)
				awaitEvent(t, b, 10)
				close(off)
				start := time.Now()
				if busy {
					events(t, c, 11, 20)
				}
				await(t, b, func(s mqtttest.State) bool { return s.Connects == 2 })
				took := time.Since(start)
				if !busy {
					events(t, c, 11, 20)
				}
				wantEvents(t, awaitEvent(t, b, 20), 1, 20)
				if limit := 46 * time.Second; took > limit {
					t.Errorf("found after %v, want %v at most", took, limit)
				}
				t.Logf("half-open connection, events in flight %v: connected anew after %.0f s, no event lost", busy, took.Seconds())
				mustClose(t, c)
			})
		})
	}
}

func TestFaultConnackRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, d := mqtttest.New(), mqtttest.NewDisk()
		defer b.Close()
		code, words := byte(5), "not Authorized"
		if protocolOf(t) == mqtt.Protocol5 {
			code, words = mqtttest.NotAuthorized, "not authorized"
		}
		b.Set(mqtttest.Fault{Refuse: code})
		c := kept(t, b, d, nil)
		events(t, c, 1, 100)
		time.Sleep(time.Hour)
		st, connects := c.Status(), b.State().Connects
		if st.Events != 100 || st.LastError != "the broker refused the connection: "+words || connects < 600 || connects > 900 {
			t.Errorf("status %+v after %d attempts", st, connects)
		}
		b.Set(mqtttest.Fault{})
		wantEvents(t, awaitEvent(t, b, 100), 1, 100)
		t.Logf("an hour of refusals: %d attempts (one each %.1f s), 100 events kept and delivered once", connects, 3600/float64(connects))
		mustClose(t, c)
	})
}

// mounted is a file system in memory of that many bytes, which only root may
// mount.
func mounted(t *testing.T, bytes int) string {
	t.Helper()
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprint("size=", bytes)); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			t.Skip("needs root, to mount a small file system")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return path
}

// awaitStatus waits for a condition of a client that no channel tells.
func awaitStatus(t *testing.T, c *mqtt.Client, ok func(mqtt.Status) bool) mqtt.Status {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if st := c.Status(); ok(st) {
			return st
		}
	}
	t.Fatalf("status %+v after %v", c.Status(), patience)
	return mqtt.Status{}
}

// keeping is a client whose outbox is in a folder.
func keeping(broker, folder string) func(*mqtt.Options) {
	return func(o *mqtt.Options) {
		o.Broker = broker
		o.OpenDisk = func() (spool.Disk, error) { return spool.OpenFolder(folder) }
	}
}

// TestFaultDiskFull fills a real file system; TestFailingDisk has the variants.
func TestFaultDiskFull(t *testing.T) { both(t, testFaultDiskFull) }

func testFaultDiskFull(t *testing.T) {
	t.Parallel() // it waits for real clocks and processes
	path := mounted(t, 1<<20)
	b := listen(t)
	b.Down()
	folder := filepath.Join(path, "outbox")
	edit := keeping(b.URL(), folder)
	c := startClient(t, edit)
	const n = 3000 // of 1 kB: three times the disk
	pad := strings.Repeat(" ", 1000)
	for i := 1; i <= n; i++ {
		publish(t, c, event(fmt.Sprintf("%05d", i)+pad))
	}
	st := awaitStatus(t, c, func(s mqtt.Status) bool { return s.DiskError != "" })
	if !strings.Contains(st.DiskError, "no space left on device") || st.Events != n {
		t.Errorf("status %+v, want all events in memory and a full disk", st)
	}
	onDisk := n - st.Unsynced
	if onDisk < 500 {
		t.Errorf("%d events on a disk of 1 MiB", onDisk)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", syscall.MS_REMOUNT, "size=20m"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	awaitStatus(t, c, func(s mqtt.Status) bool { return s.OnDisk && s.Unsynced == 0 })
	took := time.Since(start)
	ctx, cancel := contextFor(t, time.Millisecond)
	defer cancel()
	c.Close(ctx) // its error says that no broker was there
	if err := b.Up(); err != nil {
		t.Fatal(err)
	}
	c = startClient(t, edit)
	s := await(t, b, func(s mqtttest.State) bool { return len(s.Topic(eventTopic)) == n })
	for i, payload := range s.Topic(eventTopic) {
		if payload != fmt.Sprintf("%05d", i+1)+pad {
			t.Fatalf("event %d is %.10q", i+1, payload)
		}
	}
	mustClose(t, c)
	t.Logf("full disk of 1 MiB: %d of %d events on it, the others in memory; all on disk %.1f s after there is room, all delivered once by the next process", onDisk, n, took.Seconds())
}

// TestFaultDiskReadOnly starts on a real file system that is read-only, and makes
// it writable later; TestFailingDisk has one that turns read-only while it is used.
func TestFaultDiskReadOnly(t *testing.T) { both(t, testFaultDiskReadOnly) }

func testFaultDiskReadOnly(t *testing.T) {
	t.Parallel() // it waits for real clocks and processes
	path := mounted(t, 20<<20)
	b := listen(t)
	b.Down()
	folder := filepath.Join(path, "outbox")
	edit := keeping(b.URL(), folder)
	c := startClient(t, edit)
	events(t, c, 1, 100)
	abandon(c)
	remount := func(flags uintptr) {
		if err := syscall.Mount("tmpfs", path, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	c = startClient(t, edit)
	events(t, c, 101, 200)
	st := awaitStatus(t, c, func(s mqtt.Status) bool { return s.DiskError != "" })
	if st.Events != 200 || st.OnDisk || st.Unsynced != 100 {
		t.Errorf("status %+v, want 200 events, 100 of them in memory alone", st)
	}
	why := st.DiskError
	remount(0)
	start := time.Now()
	awaitStatus(t, c, func(s mqtt.Status) bool { return s.OnDisk && s.Unsynced == 0 })
	took := time.Since(start)
	if err := b.Up(); err != nil {
		t.Fatal(err)
	}
	s := await(t, b, func(s mqtttest.State) bool { return len(s.Topic(eventTopic)) == 200 })
	wantEvents(t, s.Topic(eventTopic), 1, 200)
	mustClose(t, c)
	t.Logf("read-only disk (%s): 100 events read from it, 100 more in memory, on disk %.1f s after it is writable; all delivered once", why, took.Seconds())
}

// TestFaultPowerLost takes the power away at any moment of a client's life, also
// while the broker takes events, and starts another on what the disk has.
func TestFaultPowerLost(t *testing.T) { both(t, testFaultPowerLost) }

func testFaultPowerLost(t *testing.T) {
	losses, lost, total, repeats := often(2000, 150), 0, 0, 0
	for seed := range uint64(losses) {
		synctest.Test(t, func(t *testing.T) {
			chance := rand.New(rand.NewPCG(seed, 3))
			b, d := mqtttest.New(), mqtttest.NewDisk()
			defer b.Close()
			b.Down()
			first := kept(t, b, d, nil)
			n := 0
			for range 1 + chance.IntN(20) {
				k := chance.IntN(8)
				events(t, first, n+1, n+k)
				n += k
				time.Sleep(time.Duration(chance.IntN(100)) * time.Millisecond)
				switch chance.IntN(6) {
				case 0:
					b.Up()
				case 1:
					b.Cut()
				case 2:
					b.Down()
				}
			}
			synctest.Wait()
			unsynced := first.Status().Unsynced
			after := d.PowerLost(chance)
			before := b.State().Topic(eventTopic)
			abandon(first)
			b.Down()
			b.Up()
			mark := len(b.State().Topic(eventTopic))
			second := kept(t, b, after, nil)
			events(t, second, n+1, n+1)
			got := awaitEvent(t, b, n+1)[mark:]
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Fatalf("seed %d: replayed %q", seed, got)
			}
			all := slices.Compact(slices.Sorted(slices.Values(append(before, got...))))
			if missing := n + 1 - len(all); missing > unsynced {
				t.Fatalf("seed %d: %d of %d events lost, of which %d were not synced yet", seed, missing, n, unsynced)
			}
			lost += n + 1 - len(all)
			repeats += len(before) + len(got) - len(all)
			total += n
			mustClose(t, second)
		})
	}
	t.Logf("%d losses of power: %d events, none lost that was on the disk for 100 ms; %d lost that were not, %d sent twice", losses, total, lost, repeats)
}

// TestFaultFolderCopied copies the folder at any moment, as a backup or a card
// that is pulled out does, and reads it.
func TestFaultFolderCopied(t *testing.T) { both(t, testFaultFolderCopied) }

func testFaultFolderCopied(t *testing.T) {
	t.Parallel() // it waits for real clocks and processes
	b := listen(t)
	folder := t.TempDir()
	c := startClient(t, keeping(b.URL(), folder))
	copies, read, n, down := often(400, 60), 0, 0, false
	for i := range copies {
		events(t, c, n+1, n+25)
		n += 25
		switch i % 8 {
		case 3:
			b.Down()
			down = true
		case 7:
			if err := b.Up(); err != nil {
				t.Fatal(err)
			}
			down = false
		}
		mirror := t.TempDir()
		if err := os.CopyFS(mirror, os.DirFS(folder)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		disk, err := spool.OpenFolder(mirror)
		if err != nil {
			t.Fatal(err)
		}
		log, r, err := spool.Open(disk, spool.SystemClock())
		if err != nil {
			t.Fatal(err)
		}
		last := 0
		for _, m := range r.Messages {
			k, err := strconv.Atoi(string(m.Payload))
			if err != nil || k <= last || k > n || m.Topic != eventTopic {
				t.Fatalf("copy %d: after event %d, %q on %q", i, last, m.Payload, m.Topic)
			}
			last = k
		}
		read += len(r.Messages)
		if err := log.Close(false); err != nil {
			t.Fatal(err)
		}
	}
	if down {
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
	}
	s := await(t, b, func(s mqtttest.State) bool { return slices.Contains(s.Topic(eventTopic), fmt.Sprintf("%05d", n)) })
	a := checkArrivals(t, s.Topic(eventTopic), n)
	t.Logf("folder copied %d times while %d events went through: every copy readable and in order (%d events in them)", copies, a.events, read)
	mustClose(t, c)
}

// TestFaultProcessKilled kills a publishing process with SIGKILL again and again:
// the events that it had said to be on disk reach the broker, and of each process
// those up to some number, without a gap.
func TestFaultProcessKilled(t *testing.T) { both(t, testFaultProcessKilled) }

func testFaultProcessKilled(t *testing.T) {
	t.Parallel() // it waits for real clocks and processes
	b := listen(t)
	folder := t.TempDir()
	kills := often(100, 8)
	chance := rand.New(rand.NewPCG(5, 6))
	var said []int // by process: the number of events that it said to be on disk
	for i := range kills {
		switch i % 4 {
		case 1:
			b.Down()
		case 3:
			if err := b.Up(); err != nil {
				t.Fatal(err)
			}
		}
		said = append(said, killedAfter(t, b.URL(), folder, i, 1+chance.IntN(300)))
	}
	if kills%4 == 2 || kills%4 == 3 { // it is away
		if err := b.Up(); err != nil {
			t.Fatal(err)
		}
	}
	killedAfter(t, b.URL(), folder, kills, 1)
	// What the last process reads from the disk comes before its own.
	c := startClient(t, keeping(b.URL(), folder))
	publish(t, c, event("end"))
	s := await(t, b, func(s mqtttest.State) bool { return slices.Contains(s.Topic(eventTopic), "end") })
	mustClose(t, c)
	checkProcesses(t, s.Topic(eventTopic), said)
}

// killedAfter runs a process that publishes, kills it when it says that enough
// events are on disk, and returns how many it last said.
func killedAfter(t *testing.T, broker, folder string, process, enough int) (said int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childBroker+"="+broker, childFolder+"="+folder, childNumber+"="+strconv.Itoa(process), childProtocol+"="+strconv.Itoa(int(protocolOf(t))))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if said, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatalf("the process said %q", lines.Text())
		}
		if said >= enough {
			cmd.Process.Kill() // it goes on talking until that is done
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the process ended by itself")
	}
	return said
}

func checkProcesses(t *testing.T, got []string, said []int) {
	t.Helper()
	arrived := make([]int, len(said)+1)
	repeats, process := 0, 0
	for _, word := range got {
		var p, n int
		if word == "end" {
			continue
		}
		if _, err := fmt.Sscanf(word, "%d-%d", &p, &n); err != nil {
			t.Fatalf("event %q", word)
		}
		switch {
		case n <= arrived[p]:
			repeats++
		case p < process || n != arrived[p]+1:
			t.Fatalf("event %s came after %d-%d", word, process, arrived[process])
		default:
			arrived[p], process = n, p
		}
	}
	sum, beyond := 0, 0
	for p, n := range said {
		if arrived[p] < n {
			t.Errorf("of process %d, %d events arrived and %d were on disk", p, arrived[p], n)
		}
		sum += arrived[p]
		beyond += arrived[p] - n
	}
	t.Logf("process killed %d times: %d events arrived, each process's counting up by one, among them all that were said to be synced (and %d more); %d came twice", len(said), sum, beyond, repeats)
}

// TestFaultReconnects connects again and again and looks whether anything grows.
func TestFaultReconnects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rounds := often(10_000, 600)
		b, folder := mqtttest.New(), t.TempDir() // on a real disk, which takes no heap
		defer b.Close()
		c := startClient(t, func(o *mqtt.Options) {
			o.Dial = b.Dial
			o.OpenDisk = func() (spool.Disk, error) { return spool.OpenFolder(folder) }
		})
		n := 0
		round := func() {
			n++
			events(t, c, n, n)
			await(t, b, func(s mqtttest.State) bool { return slices.Contains(s.Topic(eventTopic), fmt.Sprintf("%05d", n)) })
			b.Forget()
			connects := b.State().Connects
			b.Cut()
			await(t, b, func(s mqtttest.State) bool { return s.Connects > connects && s.Open == 1 })
		}
		for range rounds / 10 {
			round()
		}
		goroutines, heap := settled()
		start := time.Now()
		for range rounds {
			round()
		}
		grown, heapAfter := settled()
		st := c.Status()
		if grown > goroutines {
			t.Errorf("%d goroutines became %d", goroutines, grown)
		}
		if heapAfter > heap+256<<10 {
			t.Errorf("a heap of %d bytes became %d", heap, heapAfter)
		}
		if st.Events != 0 || st.Dropped.Total() != 0 || st.Published < uint64(n) {
			t.Errorf("status %+v, want %d events published", st, n)
		}
		if files, err := os.ReadDir(folder); err != nil || len(files) > 2 {
			t.Errorf("%d files on disk, %v", len(files), err)
		}
		t.Logf("%d reconnects (%.1f h of the test's clock): %d goroutines before and %d after, heap %d kB before and %d kB after", rounds, time.Since(start).Hours(), goroutines, grown, heap>>10, heapAfter>>10)
		mustClose(t, c)
	})
}

// settled counts goroutines and heap when nothing moves.
func settled() (goroutines int, heap uint64) {
	synctest.Wait()
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}
