package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dynvit/mqtt/mqtttest"
	"dynvit/mqtt/spool"
)

// clock is one that a test sets.
type clock struct {
	now       time.Time
	sinceBoot time.Duration
	boot      byte
}

func (c *clock) spool() spool.Clock {
	return spool.Clock{
		Boot: [16]byte{c.boot},
		Now:  func() time.Time { return c.now }, SinceBoot: func() time.Duration { return c.sinceBoot },
	}
}

func newClock() *clock {
	return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), time.Hour, 1}
}

func open(t testing.TB, d spool.Disk, c *clock) (*spool.Log, spool.Recovered) {
	t.Helper()
	l, r, err := spool.Open(d, c.spool())
	if err != nil {
		t.Fatal(err)
	}
	return l, r
}

func payload(seq uint64) []byte { return fmt.Appendf(nil, "payload of %d", seq) }

// write makes one batch of the messages from to to, and of done.
func write(t testing.TB, l *spool.Log, c *clock, from, to uint64, done ...spool.Span) {
	t.Helper()
	if err := l.Begin(); err != nil {
		t.Fatal(err)
	}
	for _, s := range done {
		l.Done(s)
	}
	for seq := from; seq <= to; seq++ {
		l.Message(seq, c.now, "event", payload(seq))
	}
	if err := l.Write(); err != nil {
		t.Fatal(err)
	}
}

func seqs(r spool.Recovered) []uint64 {
	var list []uint64
	for _, m := range r.Messages {
		list = append(list, m.Seq)
	}
	return list
}

func between(from, to uint64) []uint64 {
	var list []uint64
	for seq := from; seq <= to; seq++ {
		list = append(list, seq)
	}
	return list
}

// checkContent holds what was recovered to what write writes.
func checkContent(t testing.TB, r spool.Recovered) {
	t.Helper()
	last := uint64(0)
	for _, m := range r.Messages {
		if m.Seq <= last || m.Topic != "event" || !bytes.Equal(m.Payload, payload(m.Seq)) {
			t.Fatalf("after %d: message %d on %q: %q", last, m.Seq, m.Topic, m.Payload)
		}
		last = m.Seq
	}
	if r.Next <= last {
		t.Fatalf("next is %d after message %d", r.Next, last)
	}
}

func TestLogKeepsWhatIsNotDone(t *testing.T) {
	d, c := mqtttest.NewDisk(), newClock()
	l, r := open(t, d, c)
	if len(r.Messages) != 0 || r.Next != 1 {
		t.Errorf("an empty folder holds %+v", r)
	}
	write(t, l, c, 1, 5)
	write(t, l, c, 6, 8, spool.Span{First: 1, Last: 2}, spool.Span{First: 4, Last: 4})
	for range 3 { // each process appends to what the last one left
		l, r = open(t, d, c)
		if got, want := seqs(r), append([]uint64{3}, between(5, r.Next-1)...); !slices.Equal(got, want) {
			t.Errorf("recovered %v, want %v", got, want)
		}
		checkContent(t, r)
		write(t, l, c, r.Next, r.Next+1)
	}
	if _, files := d.Size(); files != 1 {
		t.Errorf("%d files of four processes, want one", files)
	}
	if err := l.Trim(r.Next + 2); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	if _, files := d.Size(); files != 0 {
		t.Errorf("%d files are left of a log without messages", files)
	}
}

// TestSegments: they are begun at a size and removed from the old end alone.
func TestSegments(t *testing.T) {
	d, c := mqtttest.NewDisk(), newClock()
	l, _ := open(t, d, c)
	big := bytes.Repeat([]byte("x"), 600_000)
	for seq := uint64(1); seq <= 8; seq++ {
		if err := l.Begin(); err != nil {
			t.Fatal(err)
		}
		l.Message(seq, c.now, "event", big)
		if err := l.Write(); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		oldest uint64
		files  int
	}{{1, 4}, {2, 4}, {3, 3}, {6, 2}, {9, 1}} { // two messages a segment; the open one stays
		if err := l.Trim(step.oldest); err != nil {
			t.Fatal(err)
		}
		if _, files := d.Size(); files != step.files {
			t.Errorf("%d files while %d is the oldest message, want %d", files, step.oldest, step.files)
		}
	}
	l, r := open(t, d, c)
	if got := seqs(r); !slices.Equal(got, []uint64{7, 8}) {
		t.Errorf("recovered %v of the last segment, want 7 and 8", got)
	}
	write(t, l, c, 9, 9)
	if _, files := d.Size(); files != 2 {
		t.Error("a full segment was appended to")
	}
}

// TestFaultOutboxCutAtEveryByte cuts and spoils a segment at each of its bytes.
func TestFaultOutboxCutAtEveryByte(t *testing.T) {
	d, c := mqtttest.NewDisk(), newClock()
	l, _ := open(t, d, c)
	const n = 60
	var ends []int // of the file, after each message
	for seq := uint64(1); seq <= n; seq++ {
		write(t, l, c, seq, seq)
		size, _ := d.Size()
		ends = append(ends, size)
	}
	const name = "0000000000000001.seg"
	whole := d.Content()[name]
	other := mqtttest.NewDisk()
	other.Put("0000000000000002.seg", nil)
	l, _ = open(t, other, c)
	write(t, l, c, n+1, n+3)
	foreign := other.Content()["0000000000000003.seg"][36:]
	cuts, step := 0, 1
	if testing.Short() {
		step = 7 // under the race detector; the bytes are no others there
	}
	for cut := 0; cut <= len(whole); cut += step {
		for _, tail := range [][]byte{nil, bytes.Repeat([]byte{0}, 40), bytes.Repeat([]byte{0xff}, 40), whole[:40], foreign} {
			torn := mqtttest.NewDisk()
			torn.Put(name, append(slices.Clone(whole[:cut]), tail...))
			fits, _ := slices.BinarySearch(ends, cut+1)
			checkRecovery(t, torn, c, uint64(fits), uint64(fits), cut, len(tail) > 0)
			cuts++
		}
	}
	flips := 0
	for i := 0; i < len(whole); i += step {
		bad := slices.Clone(whole)
		bad[i] ^= 1 << (i % 8)
		torn := mqtttest.NewDisk()
		torn.Put(name, bad)
		before, _ := slices.BinarySearch(ends, i+1)
		if i < 36 {
			before = 0
		}
		checkRecovery(t, torn, c, uint64(before), uint64(before), i, true)
		flips++
	}
	t.Logf("segment of %d bytes and %d messages: %d cuts, %d damaged bytes; every whole message before them recovered, none after, and appended to", len(whole), n, cuts, flips)
}

// checkRecovery opens a disk, expects the messages 1 to least at least and most
// at most, and writes one more, which must be there the next time.
func checkRecovery(t *testing.T, d *mqtttest.Disk, c *clock, least, most uint64, at int, damaged bool) {
	t.Helper()
	l, r := open(t, d, c)
	got := seqs(r)
	if n := uint64(len(got)); n < least || n > most || !slices.Equal(got, between(1, n)) {
		t.Fatalf("at byte %d: recovered %v, want 1 to %d", at, got, most)
	}
	checkContent(t, r)
	write(t, l, c, r.Next, r.Next)
	_, again := open(t, d, c)
	if want := append(got, r.Next); !slices.Equal(seqs(again), want) {
		t.Fatalf("at byte %d: after one more, recovered %v, want %v", at, seqs(again), want)
	}
	if _, files := d.Size(); damaged && files != 2 {
		t.Fatalf("at byte %d: %d files: appended behind a bad record", at, files)
	}
}

// TestFaultPowerLoss drives a log by chance and looks, after each of its steps,
// at what a loss of power may leave: all that was synced, and nothing that was
// synced to be done.
func TestFaultPowerLoss(t *testing.T) {
	losses, recovered := 0, 0
	for seed := range uint64(40) {
		chance := rand.New(rand.NewPCG(seed, 1))
		d, c := mqtttest.NewDisk(), newClock()
		l, _ := open(t, d, c)
		var next, oldest uint64 = 1, 1
		done := map[uint64]bool{}
		var safe []uint64                     // wanted and synced
		var written []uint64                  // wanted and written since
		gone, fresh := []uint64{}, []uint64{} // done and synced; done and written since
		look := func() {
			for range 4 {
				after := d.PowerLost(chance)
				_, r := open(t, after, c)
				checkContent(t, r)
				got := seqs(r)
				for _, seq := range safe {
					if _, ok := slices.BinarySearch(got, seq); !ok && !done[seq] {
						t.Fatalf("seed %d: message %d was synced and is lost; recovered %v", seed, seq, got)
					}
				}
				for _, seq := range gone {
					if _, ok := slices.BinarySearch(got, seq); ok {
						t.Fatalf("seed %d: message %d was synced to be done and is back", seed, seq)
					}
				}
				losses++
				recovered += len(got)
			}
		}
		for range 60 {
			switch chance.IntN(5) {
			case 0, 1:
				n := uint64(chance.IntN(5))
				if err := l.Begin(); err != nil {
					t.Fatal(err)
				}
				for seq := next; seq < next+n; seq++ {
					l.Message(seq, c.now, "event", payload(seq))
					written = append(written, seq)
				}
				next += n
				if err := l.Write(); err != nil {
					t.Fatal(err)
				}
			case 2:
				if oldest == next {
					continue
				}
				last := oldest + chance.Uint64N(next-oldest)
				write(t, l, c, 1, 0, spool.Span{First: oldest, Last: last})
				for ; oldest <= last; oldest++ {
					done[oldest] = true
					fresh = append(fresh, oldest)
				}
			case 3:
				if err := l.Sync(); err != nil {
					t.Fatal(err)
				}
				safe, written = append(safe, written...), nil
				gone, fresh = append(gone, fresh...), nil
			case 4:
				if err := l.Trim(oldest); err != nil {
					t.Fatal(err)
				}
				if chance.IntN(4) == 0 { // another process, which can only append to a whole segment
					l, _ = open(t, d, c)
				}
			}
			look()
		}
	}
	t.Logf("%d losses of power: every synced message recovered (%d in all), none that was synced to be done", losses, recovered)
}

func TestFaultClockStepped(t *testing.T) {
	tests := []struct {
		name string
		then func(*clock)
		age  time.Duration
	}{
		{"two hours later", func(c *clock) { c.now, c.sinceBoot = c.now.Add(2*time.Hour), 3*time.Hour }, 2 * time.Hour},
		{"the clock set forward a day", func(c *clock) { c.now, c.sinceBoot = c.now.Add(26*time.Hour), 3*time.Hour }, 2 * time.Hour},
		{"the clock set back a day", func(c *clock) { c.now, c.sinceBoot = c.now.Add(-22*time.Hour), 3*time.Hour }, 2 * time.Hour},
		{"another start of the kernel", func(c *clock) { c.now, c.sinceBoot, c.boot = c.now.Add(2*time.Hour), time.Minute, 2 }, 2 * time.Hour},
		{"another start, the clock set back", func(c *clock) { c.now, c.sinceBoot, c.boot = c.now.Add(-24*time.Hour), time.Minute, 2 }, 0},
		{"a clock of the year 1", func(c *clock) { c.now, c.boot = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), 2 }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, c := mqtttest.NewDisk(), newClock()
			l, _ := open(t, d, c)
			write(t, l, c, 1, 1)
			tt.then(c)
			_, r := open(t, d, c)
			if got := c.now.Sub(r.Messages[0].At); got != tt.age {
				t.Errorf("age is %v, want %v", got, tt.age)
			}
			t.Logf("age of a message: %v", c.now.Sub(r.Messages[0].At))
		})
	}
}

func TestFailedWrites(t *testing.T) {
	d, c := mqtttest.NewDisk(), newClock()
	l, _ := open(t, d, c)
	batch := func(seq uint64) error {
		if err := l.Begin(); err != nil {
			return err
		}
		l.Message(seq, c.now, "event", payload(seq))
		return l.Write()
	}
	// Full before the first record: no empty files pile up.
	d.Set(mqtttest.DiskFault{Full: true, Room: 50})
	for range 5 {
		if err := batch(1); err == nil || l.Broken() == false {
			t.Fatalf("a full disk: %v, broken %v", err, l.Broken())
		}
		d.Set(mqtttest.DiskFault{Full: true, Room: 50})
	}
	if _, files := d.Size(); files != 1 {
		t.Errorf("%d files of five attempts", files)
	}
	// Full in the middle: the part is cut off, and the file goes on.
	d.Set(mqtttest.DiskFault{})
	if err := batch(1); err != nil {
		t.Fatal(err)
	}
	d.Set(mqtttest.DiskFault{Full: true, Room: 20})
	if err := batch(2); err == nil || l.Broken() {
		t.Fatalf("a full disk: %v, broken %v", err, l.Broken())
	}
	d.Set(mqtttest.DiskFault{})
	if err := batch(3); err != nil {
		t.Fatal(err)
	}
	if _, r := open(t, d, c); !slices.Equal(seqs(r), []uint64{1, 3}) || r.Cut != 0 {
		t.Errorf("recovered %v, %d bytes cut off", seqs(r), r.Cut)
	}
	// A sync that fails: nothing written since the last one counts.
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := batch(4); err != nil {
		t.Fatal(err)
	}
	d.Set(mqtttest.DiskFault{NoSync: true})
	if err := l.Sync(); err == nil || !l.Broken() {
		t.Fatalf("a sync that fails: %v, broken %v", err, l.Broken())
	}
	d.Set(mqtttest.DiskFault{})
	for seq := uint64(4); seq <= 5; seq++ { // 4 is written again, into another segment
		if err := batch(seq); err != nil {
			t.Fatal(err)
		}
	}
	if _, r := open(t, d, c); !slices.Equal(seqs(r), []uint64{1, 3, 4, 5}) {
		t.Errorf("recovered %v, want 4 once", seqs(r))
	}
}

// TestUnreadableSegmentStays: the others are read, and it may be readable later.
func TestUnreadableSegmentStays(t *testing.T) {
	d, c := mqtttest.NewDisk(), newClock()
	l, _ := open(t, d, c)
	write(t, l, c, 1, 2)
	c.boot++ // each start of the kernel begins a segment
	l, _ = open(t, d, c)
	write(t, l, c, 3, 4)
	d.Set(mqtttest.DiskFault{NoRead: "0000000000000002.seg"})
	l, r := open(t, d, c)
	if !slices.Equal(seqs(r), []uint64{1, 2}) || len(r.Faults) != 1 || r.Next <= 4 {
		t.Errorf("recovered %v, faults %v", seqs(r), r.Faults)
	}
	write(t, l, c, r.Next, r.Next)
	if err := l.Trim(r.Next); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	d.Set(mqtttest.DiskFault{})
	if _, r := open(t, d, c); !slices.Equal(seqs(r), []uint64{3, 4}) {
		t.Errorf("recovered %v when it can be read again", seqs(r))
	}
}

func TestForeignFiles(t *testing.T) {
	d, c := mqtttest.NewDisk(), newClock()
	l, _ := open(t, d, c)
	write(t, l, c, 1, 2)
	whole := d.Content()["0000000000000001.seg"]
	d.Put("notes.txt", []byte("x"))
	d.Put("1.seg", whole)
	d.Put("000000000000000g.seg", whole)
	d.Put("0000000000000007.seg", whole) // of another number
	d.Put("0000000000000008.seg", nil)
	_, r := open(t, d, c)
	if !slices.Equal(seqs(r), []uint64{1, 2}) || r.Cut != len(whole) {
		t.Errorf("recovered %v, %d bytes cut off", seqs(r), r.Cut)
	}
	for _, name := range []string{"notes.txt", "1.seg"} {
		if d.Content()[name] == nil {
			t.Errorf("%s is gone", name)
		}
	}
}

func TestFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "outbox")
	d, err := spool.OpenFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spool.OpenFolder(path); !errors.Is(err, spool.ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second process: %v, want %v and the path", err, spool.ErrInUse)
	}
	c := newClock()
	l, _ := open(t, d, c)
	write(t, l, c, 1, 3)
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(false); err != nil {
		t.Fatal(err)
	}
	if d, err = spool.OpenFolder(path); err != nil {
		t.Fatal(err)
	}
	l, r := open(t, d, c)
	write(t, l, c, 4, 4)
	if got := seqs(r); !slices.Equal(got, between(1, 3)) {
		t.Errorf("recovered %v", got)
	}
	info, err := os.Stat(filepath.Join(path, "0000000000000001.seg"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("segment: %v, %v", info, err)
	}
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(path); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestWritingDoesNotAllocate(t *testing.T) {
	d, c := mqtttest.NewDisk(), newClock()
	l, _ := open(t, d, c)
	body := payload(1)
	sc := time.Now()
	fill := func() {
		if err := l.Begin(); err != nil {
			t.Fatal(err)
		}
		l.Message(1, sc, "event", body)
		l.Done(spool.Span{First: 1, Last: 1})
	}
	fill()
	if err := l.Write(); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, fill); n > 0 {
		t.Errorf("%v allocations a batch, want none", n)
	}
}
