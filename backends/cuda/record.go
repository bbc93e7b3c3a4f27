package cuda

import (
	"fmt"
	"slices"

	"dynvit/backends"
	"dynvit/backends/cuda/device"
)

// tape is what a recording is made of.
type tape struct{ steps []step }

// recording is a graph, or its steps where the device would not capture them.
type recording struct {
	be    *backend
	steps []step
	graph device.Graph // or 0
}

// Record takes down what do starts, leaves out what fold can, has it done once, which
// loads the kernels, and captures it. Where the device cannot capture, the next download
// says why, and replays start the kernels one by one.
func (b *backend) Record(do func()) backends.Recording {
	need("Record", b.tape == nil, "while recording")
	t := &tape{}
	b.tape = t
	defer func() { b.tape = nil }()
	do()
	b.tape = nil
	r := &recording{be: b, steps: b.fold(t.steps)}
	b.recs = append(b.recs, r)
	r.launch()
	r.capture()
	return r
}

func (r *recording) launch() {
	for i := range r.steps {
		r.be.launch(&r.steps[i])
	}
}

// capture makes the graph. A device that would not capture but goes on is not lost.
func (r *recording) capture() {
	b := r.be
	if b.lost != nil {
		return
	}
	g, err := b.dev.Capture(r.launch)
	if err != nil {
		b.note(fmt.Errorf("cuda: no graph: %w", err))
		b.wait()
		return
	}
	r.graph = g
}

func (r *recording) Replay() {
	need("Replay", r.be.tape == nil, "while recording")
	switch {
	case r.be.lost != nil:
	case r.graph != 0:
		r.be.queued(r.be.dev.Replay(r.graph))
	default:
		r.launch()
	}
}

func (r *recording) Close() {
	b := r.be
	i := slices.Index(b.recs, r)
	if i < 0 {
		return
	}
	b.recs = slices.Delete(b.recs, i, i+1)
	if r.graph != 0 && b.lost == nil {
		b.queued(b.dev.FreeGraph(r.graph))
	}
}
