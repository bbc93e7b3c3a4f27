package spool_test

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"dynvit/mqtt/mqtttest"
	"dynvit/mqtt/spool"
)

// FuzzSegments reads any bytes as two segments, once as they are and once with
// CRCs that fit, so that what lies behind them is reached. Reading never fails,
// what it gives is in order, and what is appended is found again.
func FuzzSegments(f *testing.F) {
	d, c := mqtttest.NewDisk(), newClock()
	l, _ := open(f, d, c)
	write(f, l, c, 1, 3)
	write(f, l, c, 4, 4, spool.Span{First: 2, Last: 3})
	whole := d.Content()["0000000000000001.seg"]
	f.Add(whole, []byte{})
	f.Add(whole[:50], whole)
	f.Add(whole[:len(whole)-5], whole[:40])
	f.Add([]byte{}, []byte("dvob"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, sign := range []bool{false, true} {
			d := mqtttest.NewDisk()
			for i, data := range [][]byte{first, second} {
				if sign {
					data = signed(data, uint64(i+1))
				}
				d.Put([]string{"0000000000000001.seg", "0000000000000002.seg"}[i], data)
			}
			checkAny(t, d)
		}
	})
}

func checkAny(t *testing.T, d *mqtttest.Disk) {
	c := newClock()
	l, r, err := spool.Open(d, c.spool())
	if err != nil {
		return // another version
	}
	last := uint64(0)
	for _, m := range r.Messages {
		if m.Seq <= last || m.At.After(c.now) {
			t.Fatalf("message %d of %v after %d", m.Seq, m.At, last)
		}
		last = m.Seq
	}
	if r.Next <= last {
		t.Fatalf("next is %d after message %d", r.Next, last)
	}
	if r.Next > 1<<61 {
		return // no log counts so far: there may be no numbers left to write
	}
	write(t, l, c, r.Next, r.Next+1)
	_, again, err := spool.Open(d, c.spool())
	if err != nil {
		t.Fatal(err)
	}
	if want := append(seqs(r), r.Next, r.Next+1); !slices.Equal(seqs(again), want) {
		t.Fatalf("after two more: %v, want %v", seqs(again), want)
	}
}

// signed makes a segment of data: a right header, and right CRCs where the
// lengths allow.
func signed(data []byte, number uint64) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)
	data = append(slices.Clone(data), make([]byte, max(0, 36-len(data)))...)
	copy(data, "dvob\x01\x00\x00\x00")
	binary.LittleEndian.PutUint64(data[8:], number)
	seed := crc32.Checksum(data[:32], table)
	binary.LittleEndian.PutUint32(data[32:], seed)
	for rest := data[36:]; len(rest) >= 8; {
		n := binary.LittleEndian.Uint32(rest) % 256 // else most lengths are beyond the end
		binary.LittleEndian.PutUint32(rest, n)
		if n == 0 || int(n) > len(rest)-8 {
			break
		}
		crc := crc32.Update(crc32.Update(seed, table, rest[:4]), table, rest[8:8+n])
		binary.LittleEndian.PutUint32(rest[4:], crc)
		rest = rest[8+n:]
	}
	return data
}
