package figure

import "math"

// outline is what a pen of the style's width covers along a line: a shape a piece and one
// a round corner, all turning the same way, so that they add up.
func outline(s Style, line []Point) (shapes [][]Point) {
	half := s.Width / 2
	for _, piece := range dashes(line, s.Dash) {
		for i, p := range piece {
			if i > 0 {
				shapes = append(shapes, bar(piece[i-1], p, half)...)
			}
			if s.Round || i > 0 && i < len(piece)-1 {
				shapes = append(shapes, ring(p, half))
			}
		}
	}
	return shapes
}

// bar is the piece between two points.
func bar(p, q Point, half float64) [][]Point {
	length := math.Hypot(q.X-p.X, q.Y-p.Y)
	if length == 0 {
		return nil
	}
	x, y := half*(q.X-p.X)/length, half*(q.Y-p.Y)/length // along
	return [][]Point{{{p.X - y, p.Y + x}, {p.X + y, p.Y - x}, {q.X + y, q.Y - x}, {q.X - y, q.Y + x}}}
}

// ring is a circle as corners, which turns as a bar does.
func ring(centre Point, radius float64) []Point {
	const corners = 64
	list := make([]Point, corners)
	for i := range list {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		list[i] = Point{centre.X + radius*cos, centre.Y + radius*sin}
	}
	return list
}

// dashes cuts a line into the pieces that are drawn.
func dashes(line []Point, pattern []float64) (pieces [][]Point) {
	if len(pattern) == 0 || len(line) == 0 {
		return [][]Point{line}
	}
	piece := []Point{line[0]}
	which, left := 0, pattern[0]
	for i := 1; i < len(line); i++ {
		p, q := line[i-1], line[i]
		length := math.Hypot(q.X-p.X, q.Y-p.Y)
		at := 0.0
		for length-at >= left {
			at += left
			cut := Point{p.X + (q.X-p.X)*at/length, p.Y + (q.Y-p.Y)*at/length}
			if which%2 == 0 {
				pieces = append(pieces, append(piece, cut))
			}
			piece = []Point{cut}
			which++
			left = pattern[which%len(pattern)]
		}
		left -= length - at
		piece = append(piece, q)
	}
	if which%2 == 0 {
		pieces = append(pieces, piece)
	}
	return pieces
}
