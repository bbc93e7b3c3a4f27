package drawn

// scatter mixes two numbers into one that looks random (a finaliser of the kind
// of MurmurHash3's).
func scatter(a, b uint32) uint32 {
	h := a*0x9e3779b1 ^ b*0x85ebca77
	h ^= h >> 15
	h *= 0x2c1b3c6d
	h ^= h >> 12
	h *= 0x297a2d39
	return h ^ h>>15
}

// lattice is a random number from 0 to 1 at a point with whole coordinates.
func lattice(i, j int32, seed uint32) float32 {
	return float32(scatter(uint32(i)^seed, uint32(j)+seed)&0xffff) / 0xffff
}

// cloud is smooth noise from 0 to 1, with bumps about one unit wide.
func cloud(x, y float32, seed uint32) float32 {
	fx, fy := floor(x), floor(y)
	i, j := int32(fx), int32(fy)
	tx, ty := smooth(0, 1, x-fx), smooth(0, 1, y-fy)
	top := lattice(i, j, seed) + (lattice(i+1, j, seed)-lattice(i, j, seed))*tx
	low := lattice(i, j+1, seed) + (lattice(i+1, j+1, seed)-lattice(i, j+1, seed))*tx
	return top + (low-top)*ty
}

// clouds is noise from 0 to 1 with finer and finer bumps on it.
func clouds(x, y float32, octaves int, seed uint32) float32 {
	sum, total, size := float32(0), float32(0), float32(1)
	for i := range octaves {
		sum += size * cloud(x, y, seed+uint32(i))
		total += size
		x, y, size = 2*x, 2*y, size/2
	}
	return sum / total
}

// Distances to the edge of a shape, negative inside. After Inigo Quilez,
// "2D distance functions".

func discDistance(x, y, r float32) float32 { return hypot(x, y) - r }

// blockDistance is a rectangle's of half sides rx and ry, with round corners.
func blockDistance(x, y, rx, ry, corner float32) float32 {
	qx, qy := abs(x)-rx+corner, abs(y)-ry+corner
	return hypot(max(qx, 0), max(qy, 0)) + min(max(qx, qy), 0) - corner
}

// strokeDistance is a line's from a to b, so wide.
func strokeDistance(x, y, ax, ay, bx, by, width float32) float32 {
	px, py, dx, dy := x-ax, y-ay, bx-ax, by-ay
	t := clamp((px*dx + py*dy) / (dx*dx + dy*dy))
	return hypot(px-dx*t, py-dy*t) - width/2
}

// gableDistance is a triangle's with its top at the origin and a flat foot of
// half width w at y = h.
func gableDistance(x, y, w, h float32) float32 {
	side := (abs(x)*h - y*w) / hypot(w, h)
	return max(side, y-h)
}

// ovalDistance is about an ellipse's: exact on the edge, near enough beside it.
func ovalDistance(x, y, rx, ry float32) float32 {
	k := hypot(x/rx, y/ry)
	g := hypot(x/(rx*rx), y/(ry*ry))
	if g == 0 {
		return -min(rx, ry)
	}
	return k * (k - 1) / g
}
