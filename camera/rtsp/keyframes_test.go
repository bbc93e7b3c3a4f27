package rtsp

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
)

func unhex(text string) []byte {
	data, err := hex.DecodeString(text)
	if err != nil {
		panic("rtsp: " + err.Error())
	}
	return data
}

// unitsOf cuts what a decoder gets.
func unitsOf(data []byte) [][]byte {
	if len(data) == 0 {
		return nil
	}
	return bytes.Split(data, []byte{0, 0, 0, 1})[1:]
}

// TestParameterSets: a keyframe gets those that it refers to, by their ids, the
// newest of each, and no others.
func TestParameterSets(t *testing.T) {
	sps := unhex(parametersH264[0])
	pps := func(text string) []byte { return bytesOf("\x68" + text) }
	pps0, pps1, pps0new, foreign := pps("\xce\x38\x80"), pps("\x5b\x80"), pps("\xc8\x80"), pps("\x64\x80") // ids 0, 1, 0; 2 of SPS 3
	slice := func(id byte) []byte { return append(bytesOf("\x65\x88"), id, 0x99, 0x98) }
	to0, to1, to2 := slice(0x80), slice(0x40), slice(0x60)
	for _, c := range []struct {
		name  string
		known [][]byte
		au    [][]byte
		found verdict
		want  [][]byte // PPS
	}{
		{"several in one unit", nil, [][]byte{sps, pps0, pps1, to0}, complete, [][]byte{pps0}},
		{"the other", nil, [][]byte{sps, pps0, pps1, to1}, complete, [][]byte{pps1}},
		{"both", nil, [][]byte{sps, pps1, pps0, to0, append(bytesOf("\x65\x42"), 0x10, 0x99)}, complete, [][]byte{pps0, pps1}},
		{"of the description", [][]byte{sps, pps0, pps1}, [][]byte{to1}, complete, [][]byte{pps1}},
		{"changed", [][]byte{sps, pps0, pps1}, [][]byte{pps0new, to0}, complete, [][]byte{pps0new}},
		{"behind it", nil, [][]byte{to0, sps, pps0}, complete, [][]byte{pps0}},
		{"in Annex B's form", nil, [][]byte{slices.Concat(startCode, sps, []byte{0}, startCode, pps0, startCode, to0)}, complete, [][]byte{pps0}},
		{"unknown", [][]byte{sps, pps0}, [][]byte{to2}, orphaned, nil},
		{"of an unknown one", [][]byte{sps, foreign}, [][]byte{to2}, orphaned, nil},
		{"none", nil, [][]byte{to0}, orphaned, nil},
		{"no first slice", [][]byte{sps, pps0}, [][]byte{append(bytesOf("\x65\x42"), 0x20, 0x99)}, lost, nil},
		{"no slice", nil, [][]byte{sps, pps0}, passed, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			data, found := newKeyframes(codecH264, c.known).add(nil, &picture{payloads: c.au})
			var got [][]byte
			for _, unit := range unitsOf(data) {
				if kindH264(unit) == 8 {
					got = append(got, unit)
				}
			}
			if found != c.found || !slices.EqualFunc(got, c.want, bytes.Equal) {
				t.Errorf("verdict %d with %x, want %d with %x", found, got, c.found, c.want)
			}
		})
	}
}

// TestOneOfTwoPictures: a camera whose clock stands gives two pictures one
// timestamp; a decoder must get one.
func TestOneOfTwoPictures(t *testing.T) {
	k := kitOf(codecH264)
	first, second := append(slices.Clone(k.keyFirst), 0x91), append(slices.Clone(k.keyFirst), 0x92)
	data, found := newKeyframes(codecH264, k.sets).add(nil, &picture{payloads: [][]byte{first, second, k.other}})
	if units := unitsOf(data); found != complete || !slices.ContainsFunc(units, func(u []byte) bool { return bytes.Equal(u, first) }) || bytes.Contains(data, second) || bytes.Contains(data, k.other) {
		t.Errorf("verdict %d: %x", found, units)
	}
}

// TestRecovers: a stream with points of recovery is told.
func TestRecovers(t *testing.T) {
	for _, c := range []struct {
		codec *codec
		unit  string
		want  bool
	}{
		{codecH264, "\x06\x06\x01\xc4\x80", true},
		{codecH264, "\x06\x06\x02\x0a\x71\x80", true},           // after 19 pictures
		{codecH264, "\x06\x05\x02zz\x06\x02\x0a\x71\x80", true}, // behind another message
		{codecH265, "\x4e\x01\x06\x01\xd0\x80", true},
		{codecH264, "\x06\x05\x02zz\x80", false},
		{codecH265, "\x4e\x01\x05\x02zz\x80", false},
		{codecH265, "\x4e\x01\x06\x02\x0a\x71\x80", true},
		{codecH265, "\x4e\x01\x06", false},
	} {
		k := newKeyframes(c.codec, nil)
		k.add(nil, &picture{payloads: [][]byte{[]byte(c.unit)}})
		if k.recovers != c.want {
			t.Errorf("%x: %v", c.unit, k.recovers)
		}
	}
}

// FuzzKeyframes: whatever a server sends as a picture, what goes to the decoder is
// bounded by it and well-formed.
func FuzzKeyframes(f *testing.F) {
	for _, text := range parametersH264 {
		f.Add(unhex(text), []byte("\x68\xce\x38\x80"), []byte("\x65\x88\x80"), false, false)
	}
	k := kitOf(codecH265)
	f.Add(slices.Concat([]byte{48 << 1, 1, 0, 6}, k.sets[0]), k.sets[1], k.keyFirst, true, true)
	f.Fuzz(func(t *testing.T, a, b, c []byte, h265, torn bool) {
		codec := codecH264
		if h265 {
			codec = codecH265
		}
		keys := newKeyframes(codec, kitOf(codec).sets)
		for range 2 {
			out, found := keys.add(nil, &picture{payloads: [][]byte{a, b, c}, torn: torn})
			if most := 4*(len(a)+len(b)+len(c)) + 400; len(out) > most {
				t.Errorf("%d bytes of %d", len(out), most)
			}
			if shown := found == complete || found == recovery; shown != (len(out) > 0) || shown && (torn || !bytes.HasPrefix(out, []byte{0, 0, 0, 1})) {
				t.Errorf("%v, %x", found, out)
			}
		}
	})
}
