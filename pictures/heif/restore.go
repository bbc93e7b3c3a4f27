package heif

// heic's build of libheif makes 4:4:4 of each coded picture by a triangle filter and
// averages that again: chroma comes smoothed by (1, 6, 1)/8 each way in which it is
// halved. At each coded picture's border the filter errs besides (libheif 1.18,
// Op_YCbCr420_bilinear_to_YCbCr444 takes its samples from half the distance).
//
// With S for the smoothing, two steps of C ← C + 3/2·(O − S·C) from C = O make
// 4·O − 21/4·S·O + 9/4·S²·O of what came. Of a drawn picture with hard edges 0.2 % of the
// samples then differ from pillow-heif's by more than two levels, away from borders,
// where 4 % did.

// tiling is how a picture is coded: in tiles of so many samples, as one tile where they
// are 0. The first ones may begin ahead of the picture, which was turned.
type tiling struct{ x, y, width, height int }

// tiles are those of a plane of w×h samples of a picture that was turned after it was
// put together of tiles. sx and sy are the pixels that a sample stands for.
func (h header) tiles(w, hi, sx, sy int) tiling {
	t := h.tile
	fromRight, fromBelow := h.turn.Mirrored()
	if h.turn.Sideways() {
		t.width, t.height = t.height, t.width
		fromRight, fromBelow = fromBelow, fromRight
	}
	t.width, t.height = t.width/sx, t.height/sy
	if fromRight && t.width > 0 {
		t.x = -(t.width - w%t.width) % t.width
	}
	if fromBelow && t.height > 0 {
		t.y = -(t.height - hi%t.height) % t.height
	}
	return t
}

// restorer undoes the smoothing of rows of w samples, stride apart, of h.
type restorer struct {
	stride, w, h       int
	tiles              tiling
	down               bool    // smoothed vertically too
	plain, once, twice []int32 // scratch: O, S·O ×8 and S²·O ×64, vertically
}

func newRestorer(stride, w, h int, t tiling, down bool) *restorer {
	if t.width < 1 || t.height < 1 {
		t = tiling{0, 0, w, h}
	}
	n := min(t.width, w) + 2*reach
	return &restorer{stride, w, h, t, down, make([]int32, n), make([]int32, n), make([]int32, n)}
}

// reach is how many samples away have a part in one.
const reach = 2

// row restores row y of a plane.
func (r *restorer) row(dst, pix []byte, y int) {
	t := r.tiles
	top := t.y + (y-t.y)/t.height*t.height
	for x := t.x; x < r.w; x += t.width {
		r.part(dst, pix, y, max(x, 0), max(top, 0), min(x+t.width, r.w), min(top+t.height, r.h))
	}
}

// inner keeps i from the first and the last of a tile's samples, whose chroma is wrong.
func inner(i, from, to int) int {
	if to-from < 3 {
		return min(max(i, from), to-1)
	}
	return min(max(i, from+1), to-2)
}

// part restores a tile's part of row y.
func (r *restorer) part(dst, pix []byte, y, x0, y0, x1, y1 int) {
	var rows [2*reach + 1][]byte
	for i := range rows {
		rows[i] = pix[inner(y+i-reach, y0, y1)*r.stride:]
	}
	n := x1 - x0 + 2*reach
	plain, once, twice := r.plain[:n], r.once[:n], r.twice[:n]
	for i := range n {
		x := inner(x0+i-reach, x0, x1)
		a, b, c, d, e := int32(rows[0][x]), int32(rows[1][x]), int32(rows[2][x]), int32(rows[3][x]), int32(rows[4][x])
		if plain[i], once[i], twice[i] = c, 8*c, 64*c; r.down {
			once[i], twice[i] = b+6*c+d, a+12*(b+d)+38*c+e
		}
	}
	for i := reach; i < n-reach; i++ {
		s1 := once[i-1] + 6*once[i] + once[i+1]
		s2 := twice[i-2] + 12*(twice[i-1]+twice[i+1]) + 38*twice[i] + twice[i+2]
		v := (4<<12*plain[i] - 21*16*s1 + 9*s2/4 + 1<<11) >> 12
		dst[x0+i-reach] = byte(max(0, min(255, v)))
	}
}
