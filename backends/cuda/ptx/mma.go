package ptx

import (
	"slices"
	"strings"
)

// tile is a product of mma.sync: 16 × k by k × 8.
type tile struct {
	operand, sum kind
	k            int
}

var tiles = map[string]tile{
	"m16n8k16.row.col.f32.f16.f16.f32":   {kind{'f', 16}, kind{'f', 32}, 16},
	"m16n8k16.row.col.f32.bf16.bf16.f32": {kind{'h', 16}, kind{'f', 32}, 16},
	"m16n8k32.row.col.s32.s8.s8.s32":     {kind{'s', 8}, kind{'s', 32}, 32},
}

// decodeProduct is mma.sync.aligned.SHAPE.row.col.TYPES d, a, b, c.
func decodeProduct(b *building, in *instruction, mods, ops []string) (err error) {
	if len(mods) < 4 || !slices.Equal(mods[1:3], []string{"sync", "aligned"}) || len(ops) != 4 {
		return unknown(mods)
	}
	p, ok := tiles[strings.Join(mods[3:], ".")]
	if !ok {
		return unknown(mods)
	}
	for i, registers := range []int{4, 4, 2, 4} {
		if in.lists[i], err = b.list(ops[i]); err != nil {
			return err
		}
		if len(in.lists[i]) != registers {
			return unknown(mods)
		}
	}
	in.ganged(func(w *warp, in *instruction) { w.multiplyTile(in, p) })
	in.c, err = b.allLanes()
	return err
}

// multiplyTile adds the products of two fragments to a third, as multiply does. A row of a and a
// column of b are four lanes', each with a register of every sixteen bytes; a's rows from 8 on are
// in its odd registers, d's and c's in their second half.
func (w *warp) multiplyTile(in *instruction, p tile) {
	each := 32 / p.operand.bits // values in a register
	var a [16][32]float64
	var b [8][32]float64
	for r, slot := range in.lists[1] {
		for lane, v := range &w.r[slot] {
			p.spread(a[lane/4+8*(r%2)][each*(lane%4+4*(r/2)):][:each], v)
		}
	}
	for r, slot := range in.lists[2] {
		for lane, v := range &w.r[slot] {
			p.spread(b[lane/4][each*(lane%4+4*r):][:each], v)
		}
	}
	w.block.run.stats.Products += int64(16 * 8 * p.k)
	for lane := range lanes {
		var sums [4]float64
		for v, slot := range in.lists[3] {
			sums[v] = number64(p.sum, w.r[slot][lane])
			row, col := &a[lane/4+8*(v/2)], &b[lane%4*2+v%2]
			for k := range p.k {
				sums[v] += row[k] * col[k]
			}
		}
		for v, slot := range in.lists[0] {
			w.r[slot][lane] = summed(p.sum, sums[v])
		}
	}
}

// spread is the values of a register, those in the low bits first.
func (p tile) spread(to []float64, v uint64) {
	for i := range to {
		to[i] = number64(p.operand, v>>(i*p.operand.bits)&p.operand.mask())
	}
}

// decodeMatrices is ldmatrix.sync.aligned.m8n8.xN[.trans].shared.b16 list, [address].
func decodeMatrices(b *building, in *instruction, mods, ops []string) (err error) {
	form, turned := strings.CutSuffix(strings.Join(mods, "."), ".trans.shared.b16")
	if !turned {
		form = strings.TrimSuffix(form, ".shared.b16")
	}
	n := map[string]int{"x1": 1, "x2": 2, "x4": 4}[strings.TrimPrefix(form, "ldmatrix.sync.aligned.m8n8.")]
	if n == 0 || len(mods) < 7 || len(ops) != 2 {
		return unknown(mods)
	}
	if in.lists[0], err = b.list(ops[0]); err != nil {
		return err
	}
	if len(in.lists[0]) != n {
		return unknown(mods)
	}
	if in.a, in.offset, err = b.address(ops[1]); err != nil {
		return err
	}
	in.ganged(func(w *warp, in *instruction) { w.loadMatrices(in, turned) })
	in.c, err = b.allLanes()
	return err
}

// loadMatrices has each lane read two elements of a row of each matrix, or of a column, as turned has
// it. A matrix's eight rows are at the addresses that eight lanes give, who read them too, as far as
// races go: the ISA doesn't say whose access it is.
func (w *warp) loadMatrices(in *instruction, turned bool) {
	var v view
	var rows [lanes]uint64
	for i := range uint8(8 * len(in.lists[0])) {
		if rows[i] = w.r[in.a][i] + uint64(in.offset); rows[i]%16 != 0 {
			w.fail(i, "a row at %#x: not aligned to 16 bytes", rows[i])
		}
		w.reads(&v, 1<<i, w.find(&v, i, shared, rows[i], 16), 16)
	}
	for i, slot := range in.lists[0] {
		matrix := rows[8*i:][:8]
		w.block.run.stats.Conflicts += int64(turns(matrix) - 1)
		for lane := range uint8(lanes) {
			at, inRow := lane/4, uint64(lane%4)
			if turned {
				low := w.read(&v, lane, matrix[2*inRow]+uint64(2*at), 2)
				w.r[slot][lane] = low | w.read(&v, lane, matrix[2*inRow+1]+uint64(2*at), 2)<<16
			} else {
				w.r[slot][lane] = w.read(&v, lane, matrix[at]+4*inRow, 4)
			}
		}
	}
}

// read is a value of shared memory, of n bytes.
func (w *warp) read(v *view, lane uint8, at uint64, n int) uint64 {
	i := w.find(v, lane, shared, at, n)
	w.reads(v, 1<<lane, i, n)
	return load(v.data[i:], n)
}

// turns is how many of rows of 16 bytes use the same four of the 32 banks, at most; the same row counts once.
func turns(rows []uint64) int {
	var of [8]int
	for i, at := range rows {
		if !slices.Contains(rows[:i], at) {
			of[at/16%8]++
		}
	}
	return slices.Max(of[:])
}
