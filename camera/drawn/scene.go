package drawn

// scene is one thing that the default model knows, in a place where it belongs.
// The names are the model's labels.
type scene struct {
	name  string
	place func(c *canvas, v variation)         // what stands still, drawn once a scene
	thing func(c *canvas, p pose, v variation) // what moves, drawn over it each frame
}

// scenes are all that are drawn.
var scenes = [...]scene{
	{"golf ball", drawLawn, drawGolfBall},
	{"parachute", drawSky, drawParachute},
	{"church", drawMeadow, drawChurch},
	{"gas pump", drawForecourt, drawGasPump},
	{"cassette player", drawShelf, drawCassettePlayer},
}

// variation makes a scene a little different each time that it is shown.
type variation uint32

// pick is a number from a to b, another for each field.
func (v variation) pick(field uint32, a, b float32) float32 {
	return a + (b-a)*float32(scatter(uint32(v), field)&0xffff)/0xffff
}

// pose is where the thing is: it wanders slowly about the middle.
type pose struct {
	x, y  float32 // of its centre
	scale float32 // 1: as drawn
}

// poseAt is the pose so many seconds into a scene.
func (v variation) poseAt(seconds float32) pose {
	const swing = 0.07
	a := v.pick(1, 0, 6) + 0.5*seconds
	b := v.pick(2, 0, 6) + 0.37*seconds
	return pose{x: 1.3 * swing * sin(a), y: swing * sin(b), scale: 1 + 0.06*sin(0.4*seconds+a)}
}
