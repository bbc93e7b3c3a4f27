package rtsp

import (
	"maps"
	"slices"
)

const maxSet = 16 << 10 // bytes of a parameter set

// verdict is what a picture is found to be.
type verdict int

const (
	passed   verdict = iota // no keyframe
	complete                // a keyframe that can be decoded
	recovery                // the same, by a decoder that has seen nothing yet: its count of pictures goes on
	lost                    // a keyframe that is not whole
	orphaned                // a keyframe whose parameter sets are not known
	verdicts                // how many there are
)

// keyframes collects what a stream's keyframes are made of. One goroutine uses it
// at a time.
type keyframes struct {
	codec    *codec
	sets     []map[uint32]set // by the codec's kinds, then by id: the newest
	recovers bool             // the stream has points from which on its pictures are good, without keyframes
}

// set is a parameter set.
type set struct {
	to   uint32 // id of the one that it refers to
	unit []byte
}

// newKeyframes knows what a stream's description says.
func newKeyframes(c *codec, known [][]byte) *keyframes {
	k := &keyframes{codec: c, sets: make([]map[uint32]set, len(c.sets))}
	for i := range k.sets {
		k.sets[i] = map[uint32]set{}
	}
	k.learn(known)
	return k
}

// learn keeps parameter sets, and returns how many there were of each kind.
func (k *keyframes) learn(units [][]byte) (counts []int) {
	counts = make([]int, len(k.sets))
	for _, unit := range units {
		k.recovers = k.recovers || k.codec.recovers(unit)
		for i, kind := range k.codec.sets {
			if k.codec.kind(unit) == kind.kind && k.keep(i, unit) {
				counts[i]++
			}
		}
	}
	return counts
}

func (k *keyframes) keep(i int, unit []byte) bool {
	kind := k.codec.sets[i]
	id, to, err := kind.refer(unit)
	if err != nil || id > kind.most || len(unit) > maxSet {
		return false
	}
	if sequence := len(k.codec.sets) - 2; i == sequence {
		if changed, err := k.codec.unordered(unit); err == nil {
			unit = changed
		}
	}
	k.sets[i][id] = set{to, slices.Clone(unit)}
	return true
}

// add appends a picture to dst in Annex B's form, ready to be decoded, if it is a
// keyframe and whole; else it only learns from it.
func (k *keyframes) add(dst []byte, p *picture) ([]byte, verdict) {
	units, err := k.codec.units(p)
	if p.torn || err != nil {
		whole, cut := k.codec.beginnings(p)
		k.learn(whole)
		if chosen, _ := k.choose(append(whole, cut...)); len(chosen) > 0 {
			return dst, lost
		}
		return dst, passed
	}
	counts := k.learn(units)
	chosen, first := k.choose(units)
	switch {
	case len(chosen) == 0:
		return dst, passed
	case !first, p.headless && slices.Contains(counts, 0):
		return dst, lost // its parameter sets, too, may have been lost, and the known ones be others
	}
	return k.compose(dst, chosen)
}

// choose returns the slices of a picture that needs no other, nil if it is none,
// and whether its first slice is among them. Of two pictures of one timestamp
// (fields, or a camera's clock that stands) it is the first.
func (k *keyframes) choose(units [][]byte) (chosen []slice, first bool) {
	var all []slice
	intra, key := true, false
	for _, unit := range units {
		if !k.codec.isSlice(k.codec.kind(unit)) {
			continue
		}
		s := k.codec.slice(unit)
		all = append(all, s)
		intra, key = intra && s.intra, key || s.key
	}
	if !intra && !key {
		return nil, false
	}
	for _, s := range all {
		if key && !s.key {
			continue
		}
		if s.first && first {
			break
		}
		first = first || s.first
		chosen = append(chosen, s)
	}
	return chosen, first
}

// compose appends slices behind the parameter sets that they refer to.
func (k *keyframes) compose(dst []byte, chosen []slice) ([]byte, verdict) {
	ids := map[uint32]bool{}
	key := false
	for _, s := range chosen {
		if s.err != nil {
			return dst, lost
		}
		ids[s.to] = true
		key = s.key
	}
	units, ok := k.referred(len(k.sets)-1, ids)
	if !ok {
		return dst, orphaned
	}
	found := complete
	if !key {
		units, found = append(units, k.codec.recovery), recovery
	}
	for _, s := range chosen {
		units = append(units, s.unit)
	}
	for _, unit := range append(units, k.codec.after...) {
		dst = append(append(dst, 0, 0, 0, 1), unit...)
	}
	return dst, found
}

// referred lists the parameter sets of kind i with those ids behind all that they
// refer to.
func (k *keyframes) referred(i int, ids map[uint32]bool) (units [][]byte, ok bool) {
	if i < 0 {
		return nil, true
	}
	before := map[uint32]bool{}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		s, known := k.sets[i][id]
		if !known {
			return nil, false
		}
		before[s.to] = true
		units = append(units, s.unit)
	}
	head, ok := k.referred(i-1, before)
	return append(head, units...), ok
}
