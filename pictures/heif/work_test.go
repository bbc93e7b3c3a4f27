package heif

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// box is one of ISO/IEC 14496-12.
func box(name string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), append([]byte(name), body...)...)
}

func be16(list ...int) (b []byte) {
	for _, v := range list {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// repeated is the coded picture of a fixture so many times in a row, and of all that it
// says that it is there so many times in turn, by extents of 8 bytes.
func repeated(t testing.TB, fixture string, times, extents int) []byte {
	t.Helper()
	data, err := os.ReadFile("../testdata/" + fixture)
	if err != nil {
		t.Fatal(err)
	}
	meta, _ := child(data, "meta")
	coded, _ := child(data, "mdat")
	coded = bytes.Repeat(coded, times)
	_, _, meta = full(meta)
	var properties [][]byte
	for _, i := range readItems(meta) {
		for _, p := range i.properties {
			if p.name == "hvcC" || p.name == "ispe" {
				properties = append(properties, box(p.name, p.body))
			}
		}
	}
	if len(properties) != 2 {
		t.Fatalf("%s has not one picture", fixture)
	}
	version0, version2 := []byte{0, 0, 0, 0}, []byte{2, 0, 0, 0}
	hdlr := box("hdlr", version0, make([]byte, 4), []byte("pict"), make([]byte, 13))
	pitm := box("pitm", version0, be16(1))
	iinf := box("iinf", version0, be16(1), box("infe", version2, be16(1, 0), []byte("hvc1\x00")))
	ipma := box("ipma", version0, []byte{0, 0, 0, 1}, be16(1), []byte{2, 0x81, 2})
	file := func(at int) []byte {
		places := be16(1, 0, extents)
		for range extents {
			places = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(places, uint32(at)), uint32(len(coded)))
		}
		iloc := box("iloc", version0, []byte{0x44, 0}, be16(1), places)
		return append(box("ftyp", []byte("heic"), version0, []byte("mif1heic")),
			box("meta", version0, hdlr, pitm, iinf, box("iprp", box("ipco", properties...), ipma), iloc)...)
	}
	at := len(file(0)) + 8 // of mdat
	return append(file(at), box("mdat", coded)...)
}

// TestWork: a file whose picture of 122 × 86 takes as long as one a hundred times as large is
// given up (of one MB it would hold the decoder for a minute), and what ran is closed.
func TestWork(t *testing.T) {
	for n, want := range map[[2]int]string{{1, 1}: "", {12, 32}: "takes more work than a picture of its size does"} {
		p, err := OpenHEIC(repeated(t, "420.heic", n[0], n[1]))
		if err == nil {
			_, err = p.Decode()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("coded %d times: %v", n[0]*n[1], err)
		}
		if err != nil && p.running != nil {
			t.Error("still runs")
		}
		p.Close()
	}
}

// TestWorkIsForeseen: no picture takes as much as half of what one of its size may.
func TestWorkIsForeseen(t *testing.T) {
	for _, file := range append(fixtures(t, "heic"), fixtures(t, "avif")...) {
		p := open(t, file)
		if _, err := p.Decode(); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if done := p.work() - p.running.left(); done < 1000 || done > p.work()/2 {
			t.Errorf("%s: %d loops, may take %d", file, done, p.work())
		}
		p.Close()
	}
}

// TestMeteredRefuses: code that is none, or cut off anywhere, is an error.
func TestMeteredRefuses(t *testing.T) {
	module := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x04\x01\x60\x00\x00" + // a type: nothing to nothing
		"\x03\x02\x01\x00" + // a function of it
		"\x06\x06\x01\x7f\x01\x41\x00\x0b" + // a global
		"\x07\x05\x01\x01f\x00\x00" + // an export
		"\x0a\x0b\x01\x09\x01\x01\x7f\x03\x40\x0c\x00\x0b\x0b") // for ever
	if _, err := metered(module); err != nil {
		t.Fatal(err)
	}
	whole := map[int]bool{8: true, 14: true, 18: true, 26: true, 33: true, len(module): true}
	for n := range module {
		if _, err := metered(module[:n]); err == nil && !whole[n] {
			t.Errorf("cut off after %d bytes: no error", n)
		}
	}
	module[len(module)-4] = 0x06 // no instruction of WebAssembly 2.0
	if _, err := metered(module); err == nil || !strings.Contains(err.Error(), "instruction 0x6") {
		t.Error(err)
	}
}
